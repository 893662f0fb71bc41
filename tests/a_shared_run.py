"""A training run as somebody's own script, alone or in several processes: torchrun ... a_shared_run.py FOLDER EPOCHS --kind KIND

It resumes if it can, and prints the rank and the number of each process when it begins to train.
"""
import os,sys

import torch
from cvae_nbdev import CVAE,CVAEConfig,TrainConfig,fit,load_images
from cvae_nbdev.cli import run_command

kinds = { # settings of model and training
    'reference': (CVAEConfig(), {'batch_size': 100}), # the last of 1,001 images is a batch of its own: one process gets a spare
    'normalized': (CVAEConfig(classifier_net='conv', classifier_layers=(4, 4), prior='flow', couplings=2, coupling_width=8),
                   {'batch_size': 75, 'augment': 'warp', 'max_gradient': 50, 'schedule': 'one-cycle'}), # 75: 38 and 37
}

def a_shared_run(
    folder: str,             # run folder
    epochs: int,             # passes over 1,001 images
    kind: str = 'reference', # one of kinds
    checkpoint_seconds: float = 60., # between checkpoints within an epoch
):
    "Train or resume a run."
    torch.set_num_threads(1)
    images,(model,training) = load_images('mnist', 'test'), kinds[kind]
    print(os.environ.get('RANK'), os.getpid(), flush=True)
    return fit(CVAE(model), images[:1001], images[1001:1300], TrainConfig(epochs=epochs, **training), folder, 'cpu',
               resume=True, checkpoint_seconds=checkpoint_seconds, progress=False)

if __name__ == '__main__': sys.exit(run_command(a_shared_run))
