"""A training run in a process of its own, for the tests that kill it: python a_run.py FOLDER EPOCHS [--file_size_limit N]

It resumes the run that is there, writes a checkpoint after every step, and prints a line when it begins to train.
"""
import sys

import torch._dynamo # which the first optimizer would import, and take a second in which there is nothing to interrupt
from cvae_nbdev import CVAE,TrainConfig,fit,load_images
from cvae_nbdev.cli import run_command
from cvae_nbdev.runs import RunFolder

def a_run(
    folder: str,               # run folder
    epochs: int,               # passes over 2,000 images, 20 steps each
    file_size_limit: int = 0,  # bytes that a file may have, as on a disk that is nearly full; 0: any
):
    "Train or resume a run."
    train,valid = load_images('mnist', 'train')[:2000], load_images('mnist', 'valid')[:500]
    if file_size_limit:
        import resource,signal
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN) # the write then fails as it does on a full disk, with an OSError
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_size_limit, file_size_limit))
    print('training', flush=True)
    resume = RunFolder(folder).holds_run()
    fit(CVAE(), train, valid, TrainConfig(epochs=epochs), run_dir=folder, device='cpu', resume=resume, checkpoint_seconds=0, progress=False)

if __name__ == '__main__': sys.exit(run_command(a_run))
