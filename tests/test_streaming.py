"A run whose images are read by processes of their own: signals to all of them, and a death without a warning."
import json,os,signal,subprocess,sys,time
from pathlib import Path

import pytest
import torch
from PIL import Image

from cvae_nbdev import load_images
from cvae_nbdev.core import is_alive
from cvae_nbdev.training import load_run

pytestmark = pytest.mark.skipif(not Path('/proc/self/task').exists(), reason='asks Linux for the children of a process')

def start(folder, pictures, keep_in='disk'):
    "The run as a process with a group of its own, as a terminal starts it."
    command = [sys.executable, Path(__file__).with_name('a_streamed_run.py'), folder, pictures, keep_in]
    return subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            start_new_session=True, env=os.environ | {'OMP_NUM_THREADS': '1', 'PYTHONWARNINGS': 'ignore'})

def finish(process):
    "Exit code and what was printed on stderr."
    _,errors = process.communicate(timeout=300)
    return process.returncode, errors

def workers_of(process):
    "Waits for the first line, and gives the processes that read for this one."
    line = process.stdout.readline()
    assert line == '3\n', line + process.stderr.read()
    return [int(o) for o in Path(f'/proc/{process.pid}/task/{process.pid}/children').read_text().split()]

def ended(pids, seconds):
    until = time.monotonic() + seconds
    while any(map(is_alive, pids)):
        if time.monotonic() > until: return False
        time.sleep(0.05)
    return True

@pytest.fixture(scope='module')
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp('pictures')
    for i,(image,label) in enumerate(load_images('mnist', 'test')[:420]):
        (folder/str(label)).mkdir(exist_ok=True)
        Image.fromarray(image.numpy()).save(folder/str(label)/f'{i:03}.png')
    return folder

@pytest.fixture(scope='module')
def from_memory(pictures, tmp_path_factory):
    "The folder of a run that nobody disturbed, with all images in memory."
    folder = tmp_path_factory.mktemp('runs')/'alone'
    assert finish(start(folder, pictures, 'memory')) == (0, '')
    return folder

def assert_same_run(folder, other):
    "Equal to the last bit, but for the time that it took."
    a,b = (load_run(o) for o in (folder, other))
    for name,value in a.model.state_dict().items(): assert torch.equal(value, b.model.state_dict()[name]), name
    histories = [json.loads((Path(o)/'history.json').read_text()) for o in (folder, other)]
    for history in histories: history.pop('seconds')
    assert histories[0] == histories[1]

@pytest.mark.parametrize('signum', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_the_whole_group(signum, pictures, from_memory, tmp_path):
    "The run ends in an orderly way, since its workers go on reading; then they end, too."
    folder = tmp_path/'run'
    process = start(folder, pictures)
    workers = workers_of(process)
    assert len(workers) == 2
    os.killpg(process.pid, signum)
    code,errors = finish(process)
    assert code == 128 + signum and errors.count('\n') == 1
    assert 'interrupted after' in errors and 'resume to go on from there' in errors
    assert ended(workers, 1)
    assert finish(start(folder, pictures)) == (0, '')
    assert_same_run(folder, from_memory)

def test_killed(pictures, from_memory, tmp_path):
    "Workers notice that nobody is left to read for, and the run can go on at once."
    folder = tmp_path/'run'
    process = start(folder, pictures)
    workers = workers_of(process)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert finish(start(folder, pictures)) == (0, '')
    assert ended(workers, 10)
    assert_same_run(folder, from_memory)

def test_a_worker_is_killed(pictures, from_memory, tmp_path):
    folder = tmp_path/'run'
    process = start(folder, pictures)
    workers = workers_of(process)
    os.kill(workers[0], signal.SIGKILL)
    code,errors = finish(process)
    assert code == 2 and errors.count('\n') == 1 and 'killed' in errors
    assert ended(workers, 1) and [o.name for o in folder.iterdir()] == ['checkpoint.pt']
    assert finish(start(folder, pictures)) == (0, '')
    assert_same_run(folder, from_memory)
