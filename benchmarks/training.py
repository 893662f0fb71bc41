"""How fast is training, beside what it cannot do without?

Measures, in turns within one run: the steps of an epoch, the bare matrix products of the same steps, the measurements
at the end of an epoch, and a checkpoint. Quote the ratios; absolute times depend on the machine and on the day.
"""
import statistics,tempfile,time
from pathlib import Path

import torch
from torch import nn

from cvae_nbdev.data import load_images
from cvae_nbdev.model import CVAE
from cvae_nbdev.training import Trainer

def matrix_products(model, batch_size, steps):
    "The products of `steps` forward and backward passes, on tensors of the same shapes: per layer one forward, and two backward (one if it reads the image)."
    layers = [o for o in model.modules() if isinstance(o, nn.Linear)]
    pixels = layers[0].in_features
    inputs = [torch.rand(batch_size, o.in_features) for o in layers]
    gradients = [torch.rand(batch_size, o.out_features) for o in layers]
    weights = [o.weight.detach() for o in layers]
    for _ in range(steps):
        for x,w in zip(inputs, weights): x @ w.t()
        for x,g,w in zip(inputs, gradients, weights):
            g.t() @ x
            if w.shape[1] != pixels: g @ w

def seconds(f):
    start = time.perf_counter()
    f()
    return time.perf_counter() - start

def main(rounds=7):
    trainer = Trainer(CVAE(), load_images('mnist', 'train'), load_images('mnist', 'valid'), device='cpu')
    steps,batch_size = trainer.steps_per_epoch, trainer.config.batch_size
    trainer.description() # the fingerprint of the data, once a run
    rows = []
    with tempfile.TemporaryDirectory() as d:
        for _ in range(rounds + 1):
            row = {'products': seconds(lambda: matrix_products(trainer.model, batch_size, steps)),
                   'steps': seconds(lambda: [None for _ in trainer.steps()]),
                   'end of epoch': seconds(trainer.end_epoch),
                   'checkpoint': seconds(lambda: trainer.save_checkpoint(Path(d)/'checkpoint.pt'))}
            row['steps / products'] = row['steps']/row['products']
            row['end of epoch / epoch'] = row['end of epoch']/(row['steps'] + row['end of epoch'])
            row['checkpoint / epoch'] = row['checkpoint']/(row['steps'] + row['end of epoch'])
            rows.append(row)
    print(f'torch {torch.__version__}, {torch.get_num_threads()} threads, {steps} steps of {batch_size} images, {rounds} rounds after a warm-up')
    for name in rows[0]:
        values = [o[name] for o in rows[1:]]
        print(f'{name:22}{min(values):8.3f} min{statistics.median(values):8.3f} median{max(values):8.3f} max')

if __name__ == '__main__': main()
