"""A training run as somebody's own script, alone or in several processes: torchrun ... a_shared_run.py FOLDER EPOCHS --kind KIND

It resumes the run that is there, and prints the rank and the number of each process when it begins to train.
"""
import os,sys
from dataclasses import replace

import torch
from cvae_nbdev import Recipe,fit,load_images
from cvae_nbdev.better import FlowConfig,FlowCVAE,FlowTrainConfig,FlowTrainer
from cvae_nbdev.cli import run_command
from cvae_nbdev.runs import RunFolder

kinds = { # what to train, and on how many images
    'reference': (Recipe(), {'batch_size': 100}, 1001), # the last of 1,001 images is a batch of its own: one process gets a spare
    'normalized': (Recipe(FlowCVAE, FlowConfig(classifier_layers=(4, 4), couplings=2, coupling_width=8), FlowTrainer, FlowTrainConfig()),
                   {'batch_size': 80}, 1040), # so that each process has ten of the twenty images that the classifier learns from
}

def a_shared_run(
    folder: str,             # run folder
    epochs: int,             # passes over the images
    kind: str = 'reference', # one of kinds
    checkpoint_seconds: float = 60., # between checkpoints within an epoch
):
    "Train or resume a run."
    torch.set_num_threads(1)
    images,(recipe,training,n) = load_images('mnist', 'test'), kinds[kind]
    config = replace(recipe.training, epochs=epochs, **training)
    print(f"{os.environ.get('RANK')} {os.getpid()}\n", end='', flush=True) # as one piece: two processes write
    return fit(recipe.model(recipe.config), images[:n], images[n:1300], config, recipe.trainer, folder, 'cpu',
               resume=RunFolder(folder).holds_run(), checkpoint_seconds=checkpoint_seconds, progress=False)

if __name__ == '__main__': sys.exit(run_command(a_shared_run))
