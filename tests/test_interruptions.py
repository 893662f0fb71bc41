"A run that is killed, interrupted or out of disk space, and resumed, ends where a run ends that was left alone."
import json,os,random,signal,subprocess,sys,time
from pathlib import Path

import pytest
import torch

from cvae_nbdev import load_run

pytestmark = pytest.mark.slow
epochs = 24

def start(folder, *more):
    "The run as a process, at the moment when it begins to train."
    process = subprocess.Popen([sys.executable, Path(__file__).with_name('a_run.py'), str(folder), str(epochs), *more],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               env=os.environ | {'OMP_NUM_THREADS': '1'}) # so that it does not matter what else the machine does
    assert process.stdout.readline() == 'training\n', process.stderr.read()
    return process

def finish(process):
    "Exit code and what was printed on stderr."
    _,errors = process.communicate(timeout=300)
    return process.returncode, errors

def assert_same_run(folder, other):
    "Equal to the last bit, but for the time that it took."
    a,b = load_run(folder), load_run(other)
    for name,value in a.model.state_dict().items(): assert torch.equal(value, b.model.state_dict()[name]), name
    assert torch.equal(a.samples, b.samples)
    histories = [json.loads((Path(o)/'history.json').read_text()) for o in (folder, other)]
    for history in histories: assert len(history.pop('seconds')) == epochs
    assert histories[0] == histories[1]
    assert not (Path(folder)/'checkpoint.pt').exists() and not list(Path(folder).glob('.tmp-*'))

@pytest.fixture(scope='module')
def left_alone(tmp_path_factory):
    "The folder of a run that nobody disturbed."
    folder = tmp_path_factory.mktemp('runs')/'left_alone'
    assert finish(start(folder)) == (0, '')
    return folder

def test_killed_at_20_random_moments(left_alone, tmp_path):
    folder,moments = tmp_path/'killed', random.Random(0)
    for _ in range(20):
        process = start(folder)
        time.sleep(moments.uniform(0, 0.5))
        assert process.poll() is None, 'the run ended before it was killed 20 times: ' + process.stderr.read()
        process.send_signal(signal.SIGKILL)
        assert finish(process)[0] == -signal.SIGKILL
    assert (folder/'checkpoint.pt').exists()
    assert finish(start(folder)) == (0, '')
    assert_same_run(folder, left_alone)

def test_killed_before_anything_was_written(left_alone, tmp_path):
    process = start(tmp_path/'early')
    process.send_signal(signal.SIGKILL)
    finish(process)
    assert finish(start(tmp_path/'early')) == (0, '')
    assert_same_run(tmp_path/'early', left_alone)

@pytest.mark.parametrize('signum', [signal.SIGINT, signal.SIGTERM])
def test_interrupted(signum, left_alone, tmp_path):
    process = start(tmp_path/'run')
    time.sleep(0.7)
    process.send_signal(signum)
    code,errors = finish(process)
    assert code == 128 + signum and errors.count('\n') == 1
    assert 'a_run: interrupted after' in errors and 'resume to go on from there' in errors
    assert [o.name for o in (tmp_path/'run').iterdir()] == ['checkpoint.pt']
    assert finish(start(tmp_path/'run')) == (0, '')
    assert_same_run(tmp_path/'run', left_alone)

@pytest.mark.parametrize('limit', [1, 100_000, 2_000_000])
def test_disk_full(limit, left_alone, tmp_path):
    "Space for nothing, for the beginning of a checkpoint, for half of it: the one that is there stays, and is enough to go on."
    folder = tmp_path/'run'
    process = start(folder)
    while not (folder/'checkpoint.pt').exists(): time.sleep(0.01)
    time.sleep(0.2)
    process.send_signal(signal.SIGKILL)
    finish(process)
    before = (folder/'checkpoint.pt').read_bytes()
    code,errors = finish(start(folder, '--file_size_limit', str(limit)))
    assert code == 2 and errors.count('\n') == 1 and 'File too large' in errors
    assert [o.name for o in folder.iterdir()] == ['checkpoint.pt']
    assert (folder/'checkpoint.pt').read_bytes() == before
    assert finish(start(folder)) == (0, '')
    assert_same_run(folder, left_alone)

def test_two_runs_in_one_folder(left_alone, tmp_path):
    "The second is refused at once and told why, and the first is none the worse for it."
    folder = tmp_path/'run'
    first = start(folder)
    while not (folder/'checkpoint.pt').exists(): time.sleep(0.01)
    first.send_signal(signal.SIGSTOP) # so that it cannot end before the second has been refused
    try: code,errors = finish(start(folder))
    finally: first.send_signal(signal.SIGCONT)
    assert code == 2 and errors == f'a_run: {folder}: another process is writing a run here\n'
    assert finish(first) == (0, '')
    assert_same_run(folder, left_alone)

def test_a_lock_does_not_outlive_its_process(left_alone, tmp_path):
    folder = tmp_path/'run'
    process = start(folder)
    while not (folder/'checkpoint.pt').exists(): time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    finish(process)
    assert (folder/'.lock').exists() # an empty file, which nobody holds
    assert finish(start(folder)) == (0, '')
    assert not (folder/'.lock').exists()
    assert_same_run(folder, left_alone)
