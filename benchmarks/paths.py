"""The ways to train the reference model that benchmarks/training.py compares.

Each is written as those who like it would write it. A path is a function of a task and a clock. It
trains from the given weights for the given epochs, calls clock.pause() after every part of an
epoch, when all that was asked of the device is done, and returns the weights, as NumPy arrays by
the names of a CVAE's state_dict. Each runs in a process of its own and imports what it needs by
itself, so that time and memory are its own.
"""
import os
from dataclasses import dataclass
from functools import partial
from math import log,pi
from pathlib import Path

import numpy as np

# The reference model and its training, as the defaults of CVAEConfig and TrainConfig have them.
SIZES = {'encoder.0': (784, 128), 'encoder_mean': (128, 10), 'encoder_log_var': (128, 10),
         'classifier.0': (784, 128), 'classifier.2': (128, 10), 'decoder.0': (20, 128),
         'decoder.2': (128, 784)}
BATCH,LEARNING_RATE,EPSILON,DIGIT_WEIGHT,MIN_VAR,STD = 100, 0.001, 1e-8, 10, 1e-5, 0.5
CONSTANT = 784*(log(STD) + 0.5*log(2*pi)) # of the reconstruction

@dataclass
class Task:
    "What to train on, and for how long."
    folder: Path # holds images and labels, and the weights to start from
    device: str
    epochs: int
    part: int    # steps between pauses; a divisor of the steps of an epoch
    def array(self, name): return np.load(self.folder/f'{name}.npy')
    def weights(self): return dict(np.load(self.folder/'start.npz'))

# Ours

def ours(task, clock, way):
    "The package's own Trainer, with the loss as it is written, or compiled."
    from cvae_nbdev.data import ImageSet
    from cvae_nbdev.model import CVAE
    from cvae_nbdev.runs import compiled,describe,state_of,write_checkpoint
    from cvae_nbdev.training import TrainConfig,Trainer
    def load(split):
        arrays = task.array(f'{split}_images'), task.array(f'{split}_labels')
        return ImageSet(*arrays, '0123456789', 'mnist')
    config = TrainConfig(epochs=task.epochs)
    trainer = Trainer(CVAE().to(task.device), load('train'), load('valid'), config)
    if way == 'compiled': trainer.loss = compiled(trainer.loss)
    description = describe(trainer)
    trainer.model.train()
    for _ in range(task.epochs):
        for batch in trainer.batches():
            trainer.recent.append(trainer.train_step(*batch))
            trainer.step += 1
            if trainer.step % task.part: continue
            trainer.running_losses() # read back, as the progress bar of fit does
            clock.pause()
        with clock.apart('end of epoch'): trainer.end_epoch()
        with clock.apart('checkpoint'):
            write_checkpoint(task.folder/f'{way}.pt', state_of(trainer, description))
    return {name: o.numpy(force=True) for name,o in trainer.model.state_dict().items()}

# The floor

def products(task, clock):
    "The matrix products of a step and nothing else: forward, and both kinds of gradients."
    import torch
    def random(*shape): return torch.rand(shape, device=task.device)
    layers = [(random(BATCH, i), random(o, i), random(BATCH, o)) for i,o in SIZES.values()]
    for _ in range(task.epochs*550//task.part):
        for _ in range(task.part):
            for x,weight,gradient in layers:
                x @ weight.t()
                gradient.t() @ x
                if x.shape[1] != 784: gradient @ weight # no gradient of an image is needed
        if task.device == 'cuda': torch.cuda.synchronize()
        clock.pause()

# PyTorch, as its own examples have it

def torch_module(weights):
    "A module with the layers of the reference model."
    import torch
    from torch import nn
    from torch.nn import functional as F
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder = nn.Sequential(nn.Linear(784, 128), nn.Sigmoid())
            self.encoder_mean,self.encoder_log_var = nn.Linear(128, 10), nn.Linear(128, 10)
            self.classifier = nn.Sequential(nn.Linear(784, 128), nn.Sigmoid(), nn.Linear(128, 10))
            self.decoder = nn.Sequential(nn.Linear(20, 128), nn.Sigmoid(),
                                         nn.Linear(128, 784), nn.Sigmoid())
        def forward(self, x):
            h,logits = self.encoder(x), self.classifier(x)
            mean,var = self.encoder_mean(h), MIN_VAR + self.encoder_log_var(h).exp()
            z = mean + var.sqrt()*torch.randn_like(mean)
            return self.decoder(torch.cat([z, logits.softmax(-1)], 1)), mean, var, logits
        def loss(self, x, labels):
            x_mean,mean,var,logits = self(x)
            error = F.mse_loss(x_mean, x, reduction='sum')
            reconstruction = error/(2*STD**2)/len(x) + CONSTANT
            kl = -0.5*torch.sum(1 + var.log() - mean**2 - var)/len(x)
            return reconstruction + kl + DIGIT_WEIGHT*F.cross_entropy(logits, labels)
    net = Net()
    net.load_state_dict({name: torch.from_numpy(o) for name,o in weights.items()})
    return net

def train_loader(task, clock, dataset, item_every, fused=None):
    "The usual loop over a DataLoader; the loss is read back after so many steps."
    import torch
    from torch.utils.data import DataLoader
    torch.manual_seed(0)
    model = torch_module(task.weights()).to(task.device)
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE, eps=EPSILON, fused=fused)
    cuda = {'num_workers': 1, 'pin_memory': True, 'persistent_workers': True}
    loader = DataLoader(dataset, BATCH, shuffle=True, **(cuda if task.device == 'cuda' else {}))
    for _ in range(task.epochs):
        total = 0.
        for done,(x,labels) in enumerate(loader, 1):
            x,labels = x.to(task.device).view(-1, 784), labels.to(task.device)
            optimizer.zero_grad()
            loss = model.loss(x, labels)
            loss.backward()
            optimizer.step()
            if done % item_every == 0: total += loss.item()
            if done % task.part == 0: clock.pause()
    return {name: o.numpy(force=True) for name,o in model.state_dict().items()}

def torchvision_loader(task, clock):
    "pytorch/examples: torchvision's dataset, a transform an image, loss.item() after every step."
    from torchvision import datasets,transforms
    dataset = datasets.MNIST(task.folder, train=True, transform=transforms.ToTensor())
    dataset.data = dataset.data[5000:] # those before are for validation
    dataset.targets = dataset.targets[5000:]
    return train_loader(task, clock, dataset, item_every=1)

def tensor_loader(task, clock):
    "All images as floats in a TensorDataset, a DataLoader, Adam in one pass, the loss read rarely."
    import torch
    images,labels = (torch.from_numpy(task.array(f'train_{o}')) for o in ('images', 'labels'))
    dataset = torch.utils.data.TensorDataset(images.float()/255, labels)
    return train_loader(task, clock, dataset, item_every=task.part, fused=True)

# JAX

def jax_parts(task):
    "Parameters, optimizer state, step, and the data on the device."
    import jax,optax
    import jax.numpy as jnp
    optimizer = optax.adam(LEARNING_RATE, eps=EPSILON)
    def dense(params, name, x): return x @ params[f'{name}.weight'] + params[f'{name}.bias']
    def loss(params, x, labels, noise):
        layer,sigmoid = partial(dense, params), jax.nn.sigmoid
        h = sigmoid(layer('encoder.0', x))
        logits = layer('classifier.2', sigmoid(layer('classifier.0', x)))
        mean,var = layer('encoder_mean', h), MIN_VAR + jnp.exp(layer('encoder_log_var', h))
        z = mean + jnp.sqrt(var)*noise
        h = sigmoid(layer('decoder.0', jnp.concatenate([z, jax.nn.softmax(logits)], 1)))
        x_mean = sigmoid(layer('decoder.2', h))
        reconstruction = ((x_mean - x)**2).sum(1)/(2*STD**2) + CONSTANT
        kl = -0.5*(1 + jnp.log(var) - mean**2 - var).sum(1)
        digit = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
        return (reconstruction + kl + DIGIT_WEIGHT*digit).mean()
    def step(state, images, labels, picked):
        params,adam,key = state
        key,now = jax.random.split(key)
        x,noise = images[picked].astype(jnp.float32)/255, jax.random.normal(now, (BATCH, 10))
        value,gradient = jax.value_and_grad(loss)(params, x, labels[picked], noise)
        updates,adam = optimizer.update(gradient, adam)
        return (optax.apply_updates(params, updates), adam, key), value
    params = {name: jnp.asarray(o.T) for name,o in task.weights().items()} # [in, out]
    state = params, optimizer.init(params), jax.random.key(0)
    return step, state, *(jax.device_put(o) for o in vectors(task))

def vectors(task):
    "Training images as vectors of bytes, and labels of the size that JAX has."
    return task.array('train_images').reshape(-1, 784), task.array('train_labels').astype('int32')

def jax_scan(task, clock):
    "lax.scan over the steps of a part of an epoch; data on the device, buffers donated."
    import jax
    step,state,images,labels = jax_parts(task)
    @partial(jax.jit, donate_argnums=0)
    def train(state, images, labels, order):
        return jax.lax.scan(lambda state,picked: step(state, images, labels, picked), state, order)
    shuffle = jax.jit(lambda key: jax.random.permutation(key, len(images)))
    for key in jax.random.split(jax.random.key(1), task.epochs):
        for part in shuffle(key).reshape(-1, task.part, BATCH):
            state,losses = train(state, images, labels, part)
            losses.block_until_ready()
            clock.pause()
    return {name: np.asarray(o).T for name,o in state[0].items()}

def jax_step(task, clock):
    "A jitted step, called from a loop in Python; data on the device, buffers donated."
    import jax
    step,state,images,labels = jax_parts(task)
    step,random = jax.jit(step, donate_argnums=0), np.random.default_rng(0)
    for _ in range(task.epochs):
        order = random.permutation(len(images)).astype('int32').reshape(-1, BATCH)
        for done,picked in enumerate(order, 1):
            state,value = step(state, images, labels, picked)
            if done % task.part: continue
            value.block_until_ready()
            clock.pause()
    return {name: np.asarray(o).T for name,o in state[0].items()}

def keras_fit(task, clock):
    "Keras 3 on JAX: a model with a loss of its own, and fit."
    os.environ['KERAS_BACKEND'] = 'jax'
    import jax,keras
    from keras import layers,ops
    class Net(keras.Model):
        def __init__(self):
            super().__init__()
            self.scale,self.noise = layers.Rescaling(1/255), keras.random.SeedGenerator(0)
            sigmoid,self.parts = {'encoder.0', 'classifier.0', 'decoder.0', 'decoder.2'}, {}
            for name,(i,o) in SIZES.items():
                activation = 'sigmoid' if name in sigmoid else None
                self.parts[name] = layers.Dense(o, activation, name=name.replace('.', '_'))
                self.parts[name].build((None, i))
        def call(self, x):
            part,x = self.parts, self.scale(x)
            h,logits = part['encoder.0'](x), part['classifier.2'](part['classifier.0'](x))
            mean,var = part['encoder_mean'](h), MIN_VAR + ops.exp(part['encoder_log_var'](h))
            z = mean + ops.sqrt(var)*keras.random.normal(ops.shape(mean), seed=self.noise)
            h = part['decoder.0'](ops.concatenate([z, ops.softmax(logits)], 1))
            return x, part['decoder.2'](h), mean, var, logits
        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
            x,x_mean,mean,var,logits = y_pred
            reconstruction = ops.sum(ops.square(x_mean - x), 1)/(2*STD**2) + CONSTANT
            kl = -0.5*ops.sum(1 + ops.log(var) - ops.square(mean) - var, 1)
            digit = keras.losses.sparse_categorical_crossentropy(y, logits, from_logits=True)
            return ops.mean(reconstruction + kl + DIGIT_WEIGHT*digit)
    class Pause(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if (batch + 1) % task.part: return
            jax.block_until_ready(logs)
            clock.pause()
    keras.utils.set_random_seed(0)
    model,start = Net(), task.weights()
    for name,layer in model.parts.items():
        layer.set_weights([start[f'{name}.weight'].T, start[f'{name}.bias']])
    optimizer = keras.optimizers.Adam(LEARNING_RATE, epsilon=EPSILON)
    model.compile(optimizer=optimizer, steps_per_execution=10)
    model.fit(*vectors(task), BATCH, task.epochs, verbose=0, callbacks=[Pause()])
    trained = {name: layer.get_weights() for name,layer in model.parts.items()}
    return ({f'{name}.weight': weight.T for name,(weight,bias) in trained.items()}
            | {f'{name}.bias': bias for name,(weight,bias) in trained.items()})
