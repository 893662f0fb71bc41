"Trains the small models of the live grid, nbs/live/grid: reference models of ten epochs for several widths of the decoder's distribution and weights of the digit."
import gzip
from pathlib import Path

import torch
from safetensors.torch import save

from cvae_nbdev import CVAE,CVAEConfig,Judge,TrainConfig,fit,generate,load_images
from cvae_nbdev.core import random_normal
from cvae_nbdev.files import write_json
from cvae_nbdev.judge import judge_images
from cvae_nbdev.measures import density_coverage,frechet_distance

stds,weights,epochs = (0.15, 0.25, 0.5, 0.7, 1.), (0, 1, 10, 30, 100), 10
folder = Path(__file__).parent.parent/'nbs'/'live'/'grid'

def eight_bits(tensors):
    "Matrices as whole numbers with a scale for each row, as explore.ipynb has it."
    packed = {}
    for name,o in tensors.items():
        if o.dim() > 1:
            packed[f'{name}.scale'] = scale = (o.abs().amax(1)/127).clamp(min=1e-30)
            o = (o/scale[:, None]).round().to(torch.int8)
        packed[name] = o if o.dtype == torch.int8 else o.half() if name.endswith('bias') else o
    return packed

def main():
    train,valid,test = (load_images('mnist', split) for split in ('train', 'valid', 'test'))
    judge = Judge.from_pretrained('judge')
    real = judge_images(judge, test.images[:5000]).features
    folder.mkdir(parents=True, exist_ok=True)
    models = {}
    for std in stds:
        for weight in weights: # so many nats as it would be at a width of 0.5
            config = CVAEConfig(decoder_std=std)
            model = fit(CVAE(config), train, valid, TrainConfig(epochs=epochs, digit_weight=weight*0.25/std**2), progress=False).model
            samples = generate(model, n=500)
            judged = judge_images(judge, samples.images)
            name = f'{std:g}-{weight}'
            models[name] = {'judged_right': (judged.logits.argmax(-1) == samples.labels).float().mean().item(),
                            'coverage': density_coverage(judged.features, real)[1].float().mean().item(),
                            'frechet': frechet_distance(judged.features, real).item()}
            decoder = {name: o for name,o in model.state_dict().items() if name.startswith('decoder.')}
            (folder/f'{name}.safetensors.gz').write_bytes(gzip.compress(save(eight_bits(decoder)), mtime=0))
            print(name, models[name], flush=True)
    c = CVAEConfig()
    settings = {name: getattr(c, name) for name in ('image_shape', 'num_classes', 'z_dim', 'decoder_layers', 'activation', 'class_names')}
    write_json(folder/'grid.json', {'config': settings, 'styles': random_normal((3, c.z_dim), 4, 'grid').tolist(), 'epochs': epochs,
                                    'decoder_std': stds, 'digit_weight': weights, 'models': models})

if __name__ == '__main__': main()
