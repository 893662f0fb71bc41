"Two processes train as one does, stop together, and leave a run from which any number of them can go on."
import os,signal,subprocess,sys,time
from pathlib import Path

import pytest
import torch

from a_shared_run import a_shared_run
from cvae_nbdev import load_run

if not torch.distributed.is_available() or not torch.distributed.is_gloo_available():
    pytest.skip('PyTorch was built without gloo', allow_module_level=True)

pytestmark = pytest.mark.slow
script,commands = Path(__file__).with_name('a_shared_run.py'), Path(sys.executable).parent
epochs = 20

def start(*words):
    "Two processes with one thread each."
    launcher = sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc-per-node', '2'
    return subprocess.Popen([*map(str, (*launcher, *words))], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            env=os.environ | {'OMP_NUM_THREADS': '1'})

def finish(process, name='a_shared_run'):
    "Exit code, and the lines on stderr that are ours: not those of torchrun."
    _,errors = process.communicate(timeout=300)
    return process.returncode, [o for o in errors.splitlines() if o.startswith(f'{name}: ')]

def train(*words):
    process = start(script, *words)
    _,errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    assert not errors, errors # nothing to warn of

def in_training(folder):
    "Two processes that have begun to train, and the number of each."
    process = start(script, folder, epochs, '--checkpoint_seconds', 0)
    pids = dict(process.stdout.readline().split() for _ in range(2))
    def written(): return (folder/'checkpoint.pt').stat().st_mtime_ns if (folder/'checkpoint.pt').exists() else 0
    def wait_beyond(time_ns):
        while written() == time_ns and process.poll() is None: time.sleep(0.01)
        return written()
    wait_beyond(wait_beyond(0)) # the first is written before the second process has to be there
    return process, {rank: int(pid) for rank,pid in pids.items()}

def assert_same_run(a, b):
    "Equal but for rounding, which grows from step to step."
    for name in ('vae_loss', 'digit_loss', 'reconstruction', 'kl'):
        for o in (name, f'valid_{name}'): assert getattr(a.history, o) == pytest.approx(getattr(b.history, o), rel=1e-3), o
    weights = b.model.state_dict()
    for name,o in a.model.state_dict().items(): torch.testing.assert_close(o, weights[name], rtol=1e-2, atol=2e-3)
    torch.testing.assert_close(a.samples, b.samples, rtol=0, atol=1e-2)

@pytest.fixture(scope='module')
def alone(tmp_path_factory):
    "A run of one process."
    return a_shared_run(tmp_path_factory.mktemp('runs')/'alone', epochs)

@pytest.mark.parametrize('kind', ['reference', 'normalized'])
def test_two_processes_are_one(kind, tmp_path):
    train(tmp_path/'two', 2, '--kind', kind)
    assert_same_run(load_run(tmp_path/'two'), a_shared_run(tmp_path/'one', 2, kind))

@pytest.mark.slow
def test_another_seed_is_another_run(alone):
    "So that the comparison can fail."
    from cvae_nbdev import CVAE,TrainConfig,fit,load_images
    images = load_images('mnist', 'test')
    other = fit(CVAE(), images[:1001], images[1001:1300], TrainConfig(epochs=epochs, seed=1), device='cpu', progress=False)
    with pytest.raises(AssertionError): assert_same_run(other, alone)

@pytest.mark.slow
def test_from_one_to_two(alone, tmp_path):
    a_shared_run(tmp_path/'run', epochs - 2)
    train(tmp_path/'run', epochs)
    assert_same_run(load_run(tmp_path/'run'), alone)

@pytest.mark.slow
def test_sigterm_and_from_two_to_one(alone, tmp_path):
    process,_ = in_training(tmp_path/'run')
    process.send_signal(signal.SIGTERM) # to torchrun, which passes it on
    code,lines = finish(process)
    assert code != 0 and len(lines) == 1 and 'interrupted after' in lines[0] and 'resume to go on' in lines[0]
    assert [o.name for o in (tmp_path/'run').iterdir()] == ['checkpoint.pt']
    assert_same_run(a_shared_run(tmp_path/'run', epochs), alone)

@pytest.mark.slow
def test_killed(alone, tmp_path):
    process,pids = in_training(tmp_path/'run')
    os.kill(pids['1'], signal.SIGKILL)
    code,lines = finish(process)
    assert code != 0 and len(lines) == 1 and 'another process ended' in lines[0]
    assert (tmp_path/'run'/'checkpoint.pt').exists()
    assert_same_run(a_shared_run(tmp_path/'run', epochs), alone)

@pytest.mark.parametrize('options', ['--epochs 0', '--epochs $((1 - RANK))']) # wrong for both, or for the second alone
def test_wrong_command_line(options, tmp_path):
    command = f'exec {commands/"cvae_train"} --out {tmp_path/"run"} {options}'
    code,lines = finish(start('--no-python', 'bash', '-c', command), 'cvae_train')
    assert code != 0 and lines == ['cvae_train: epochs is 0, expected a whole number from 1 to 1000000']
