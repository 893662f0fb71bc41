"""How fast is training, beside what it cannot do without?

Measures, within one run: the steps of an epoch; the bare matrix products of the same steps, each step's products right
after the step, so that both find the caches as training leaves them; the measurements at the end of the epoch; and a
checkpoint. Quote the ratios; absolute times depend on the machine and on the day.
"""
import statistics,tempfile,time
from pathlib import Path

import torch
from torch import nn

from cvae_nbdev import CVAE,load_images
from cvae_nbdev.runs import describe,state_of,write_checkpoint
from cvae_nbdev.training import Trainer

def matrix_products(layers, inputs, gradients):
    "The products of a forward and a backward pass: one forward for each layer, and two backward, or one if it reads the image."
    pixels = layers[0].in_features
    products = [x @ layer.weight.t() for x,layer in zip(inputs, layers)]
    for x,g,layer in zip(inputs, gradients, layers):
        products.append(g.t() @ x)
        if layer.in_features != pixels: products.append(g @ layer.weight)
    return products

@torch.no_grad()
def timed_products(layers, inputs, gradients):
    started = time.perf_counter()
    matrix_products(layers, inputs, gradients)
    return time.perf_counter() - started

def seconds(f):
    started = time.perf_counter()
    f()
    return time.perf_counter() - started

def main(rounds=7):
    trainer = Trainer(CVAE(), load_images('mnist', 'train'), load_images('mnist', 'valid'), device='cpu')
    description = describe(trainer) # the fingerprint of the data is computed once a run
    batch_size = trainer.config.batch_size
    layers = [o for o in trainer.model.modules() if isinstance(o, nn.Linear)]
    tensors = layers, [torch.rand(batch_size, o.in_features) for o in layers], [torch.rand(batch_size, o.out_features) for o in layers]
    rows = []
    with tempfile.TemporaryDirectory() as d:
        def save_checkpoint(): write_checkpoint(Path(d)/'checkpoint.pt', state_of(trainer, description))
        for _ in range(rounds + 1):
            products = 0.
            for _ in trainer.steps(): products += timed_products(*tensors)
            row = {'products': products, 'steps': trainer.seconds, 'end of epoch': seconds(trainer.end_epoch),
                   'checkpoint': seconds(save_checkpoint)}
            epoch = row['steps'] + row['end of epoch']
            rows.append(row | {'steps / products': row['steps']/products, 'end of epoch / epoch': row['end of epoch']/epoch,
                               'checkpoint / epoch': row['checkpoint']/epoch})
    print(f'torch {torch.__version__}, {torch.get_num_threads()} threads, {trainer.steps_per_epoch} steps of {batch_size} images, '
          f'{rounds} rounds after a warm-up')
    for name in rows[0]:
        values = [o[name] for o in rows[1:]]
        print(f'{name:22}{min(values):8.3f} min{statistics.median(values):8.3f} median{max(values):8.3f} max')

if __name__ == '__main__': main()
