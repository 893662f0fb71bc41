"Calls as the README and the pages make them: a type checker must find nothing wrong here, and something in wrong_calls.py."
from pathlib import Path

import numpy as np
import torch

from cvae_nbdev import *
from cvae_nbdev import CVAE,CVAEConfig,FlowCVAE,ImageSet,Judge,Recipe,TrainConfig,Trainer
from cvae_nbdev.losses import CVAELoss

train: ImageSet = load_images('mnist', 'train')
valid,test = load_images('mnist', 'valid'), load_images(Path('pictures'), 'test', invert=True)
print(len(train), train.images.shape, train[:100].num_classes, train.to('cpu').image_shape)
for x,labels in train.batches(100): print(x.mean(), labels[0])

model = CVAE.from_pretrained()
post = CVAE.from_pretrained('post', device='auto', dtype=torch.float64)
print(model.device, model.dtype, model.config.z_dim)
best: FlowCVAE = FlowCVAE.from_pretrained('best')
samples = generate(model, labels=[3, 1, 4])
more = generate(model, '38', n=5, seed=1)
print(infer(model, samples.images).labels.tolist(), infer(model, test).probs.max())
infer(model, np.zeros((2, 28, 28), np.uint8))
show_grid(samples.images).savefig('digits.png')
show_grid(reconstruct(model, test[:10]))
show_grid(restyle(model, test.images[:5], [1, 7]), row_names=range(5), column_names=['1', '7'])
interpolate(model, 3, 8, steps=5)
interpolate(model, test.images[0], test.images[1])
traverse(model, label=5, dim=0, style=[0.]*10)

class NoKL(Trainer):
    def loss(self, x: torch.Tensor, labels: torch.Tensor, noise: torch.Tensor) -> CVAELoss:
        terms = super().loss(x, labels, noise)
        return terms._replace(total=terms.reconstruction + terms.digit_loss)

run = fit(CVAE(CVAEConfig(z_dim=2, decoder_layers=(256, 256))), train, valid, TrainConfig(epochs=1), trainer=NoKL,
          run_dir='runs/mine', overwrite=True)
print(run.history.vae_loss[-1], run.samples.shape, load_run('runs/mine').model.config.z_dim)
plot_losses(run.history)
plot_samples(run.samples, train.class_names)
recipe = presets['best']
fit(recipe.model(recipe.config), train, valid, recipe.training, recipe.trainer)
own = CVAE(encoder=torch.nn.Linear(784, 32))
own.save_pretrained('own')
again = CVAE.from_pretrained('own', into=CVAE(encoder=torch.nn.Linear(784, 32)))
loop = Trainer(model, train, valid)
for step in loop.run(): print(step, loop.running_losses(), loop.measure(valid)['kl'], loop.accuracy(test))
print(evaluate(model, quick=True).measures, Judge.from_pretrained('judge').config.class_names)
for result in sweep(grid(Recipe(), z_dim=[2, 10], digit_weight=[1., 10.]), train, valid).runs.values(): print(result.history)
explore(model)
restyle_explorer(model, test)
print(score(model, test).bound.mean(), score(model, test.images[0]).quantile)
train_live()
