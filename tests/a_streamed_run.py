"""A training run from picture files that two processes decode, for the tests that interrupt it: python a_streamed_run.py FOLDER PICTURES KEEP_IN

It resumes if it can, writes a checkpoint after every step, and prints a line after every third step.
"""
import sys

import torch._dynamo # which the first optimizer would import, and take a second in which there is nothing to interrupt
from cvae_nbdev import CVAE,TrainConfig,fit,load_images
from cvae_nbdev.cli import run_command
from cvae_nbdev.training import Trainer

def a_run(
    folder: str,   # run folder
    pictures: str, # folder of pictures
    keep_in: str,  # 'memory' or 'disk'
):
    "Train or resume a run."
    train,valid = load_images(pictures, 'train', keep_in=keep_in), load_images(pictures, 'valid')
    if keep_in == 'disk': train.workers = 2
    steps = Trainer.steps
    def told(self):
        for step in steps(self):
            if step % 3 == 0: print(step, flush=True)
            yield step
    Trainer.steps = told
    fit(CVAE(), train, valid, TrainConfig(epochs=4, batch_size=20), folder, 'cpu', resume=True, checkpoint_seconds=0, progress=False)

if __name__ == '__main__': sys.exit(run_command(a_run))
