"What a reader changes is what trains: each change, under `fit`, against a loop that is written here from the formulas."
import ast
from math import log,pi
from pathlib import Path
from typing import Callable,NamedTuple

import pytest
import torch
from torch import Tensor,nn

import cvae_nbdev.training
from cvae_nbdev import CVAE,CVAEConfig,TrainConfig,Trainer,fit
from cvae_nbdev.core import random_normal,random_order
from cvae_nbdev.losses import cvae_loss

config = TrainConfig(epochs=2, batch_size=40)
package = Path(cvae_nbdev.training.__file__).parent

class NoKL(Trainer):
    def loss(self, x: Tensor, labels: Tensor, noise: Tensor):
        terms = super().loss(x, labels, noise)
        return terms._replace(total=terms.reconstruction + terms.digit_loss)

def twice_the_kl(output, x, labels, digit_weight):
    terms = cvae_loss(output, x, labels, digit_weight)
    return terms._replace(total=terms.total + terms.kl)

def frozen(model: CVAE):
    for o in model.encoder.parameters(): o.requires_grad_(False)

def stretched(module, inputs, output): return 1.5*output

class Change(NamedTuple):
    "What a reader might do to the model, the trainer, or a function of the package; the last is what to minimize then."
    model: Callable = lambda model: None
    trainer: type[Trainer] = Trainer
    loss: Callable | None = None # in place of cvae_loss
    make: Callable = CVAE
    total: Callable = lambda reconstruction, kl, digit: reconstruction + kl + digit

changes = {
    'nothing': Change(),
    'no KL': Change(trainer=NoKL, total=lambda reconstruction, kl, digit: reconstruction + digit),
    'dropout': Change(lambda model: model.encoder.append(nn.Dropout(0.9))),
    'tanh at the end': Change(lambda model: model.decoder.append(nn.Tanh())),
    'another activation': Change(lambda model: model.decoder.__setitem__(1, nn.GELU())),
    'normalization first': Change(lambda model: model.decoder.insert(0, nn.BatchNorm1d(20))),
    'sigmoid at the end': Change(lambda model: model.decoder.append(nn.Sigmoid())),
    'a hook that changes': Change(lambda model: model.classifier.register_forward_hook(stretched)),
    'weight norm': Change(lambda model: nn.utils.parametrizations.weight_norm(model.encoder[0])),
    'frozen weights': Change(frozen),
    'an encoder of its own': Change(make=lambda: CVAE(encoder=nn.Sequential(nn.Unflatten(1, (28, 28)), nn.GRU(28, 16), Last()))),
    'a function replaced': Change(loss=twice_the_kl, total=lambda reconstruction, kl, digit: reconstruction + kl + digit + kl),
}

class Last(nn.Module):
    "Of what a recurrent network gives for the rows of an image, the last."
    def forward(self, outputs): return outputs[0][:, -1]

def terms_of(model: CVAE, x, labels, noise):
    "Reconstruction, KL and digit loss, from what the model makes of a batch."
    output = model(x, noise)
    mean,var = output.posterior
    error = (output.pixel_logits.sigmoid() - x).square().flatten(1).sum(1)
    reconstruction = (error/(2*0.5**2) + 784*(log(0.5) + 0.5*log(2*pi))).mean()
    kl = (-0.5*(1 + var.log() - mean.square() - var).sum(1)).mean()
    digit = 10*nn.functional.cross_entropy(output.class_logits, labels, reduction='none').mean()
    return reconstruction, kl, digit

def by_hand(change, train):
    "The naive loop; the weights that it ends with, and the VAE loss over the set after each epoch."
    model,losses = change.make(), []
    change.model(model)
    torch.manual_seed(0)
    images,noise = train.images.float()/255, lambda purpose, *epoch: random_normal((len(train), 10), config.seed, purpose, *epoch)
    optimizer = torch.optim.Adam(model.parameters(), config.learning_rate, fused=True)
    for epoch in range(config.epochs):
        model.train()
        for rows,eps in zip(random_order(len(train), config.seed, 'order', epoch).split(40), noise('noise', epoch).split(40)):
            total = change.total(*terms_of(model, images[rows], train.labels[rows], eps))
            optimizer.zero_grad()
            total.backward()
            optimizer.step()
        model.eval()
        with torch.no_grad(): losses.append(terms_of(model, images, train.labels, noise('evaluation')))
    return model.state_dict(), losses

def by_fit(change, train, monkeypatch, **more):
    if change.loss: monkeypatch.setattr(cvae_nbdev.training, 'cvae_loss', change.loss)
    model = change.make()
    change.model(model)
    torch.manual_seed(0)
    history = fit(model, train, train[:40], config, change.trainer, device='cpu', progress=False, **more).history
    return model.state_dict(), list(zip(history.reconstruction, history.kl, history.digit_loss))

def quick_compiler(monkeypatch):
    "Trace and guard as always, but leave the translation away, which takes long."
    translate = torch.compile
    torch.compiler.reset()
    monkeypatch.setattr(torch, 'compile', lambda f: translate(f, backend='aot_eager'))

@pytest.fixture(scope='module')
def train(images): return images[:200]

@pytest.fixture(scope='module')
def untouched(train): return by_hand(Change(), train)

@pytest.mark.parametrize('name', changes)
def test_a_change_is_what_trains(name, train, untouched, monkeypatch):
    weights,losses = by_fit(changes[name], train, monkeypatch)
    expected,expected_losses = by_hand(changes[name], train)
    for key,o in weights.items(): assert torch.equal(o, expected[key]), key
    assert torch.allclose(torch.tensor(losses), torch.tensor(expected_losses), rtol=1e-6)
    if name != 'nothing': # so that the comparison can fail
        assert not torch.allclose(torch.tensor(losses), torch.tensor(untouched[1]), rtol=1e-5)

@pytest.mark.slow
@pytest.mark.parametrize('name', changes)
def test_a_change_is_what_is_translated(name, train, monkeypatch):
    expected,expected_losses = by_hand(changes[name], train)
    quick_compiler(monkeypatch)
    weights,losses = by_fit(changes[name], train, monkeypatch, compile=True)
    for key,o in weights.items(): torch.testing.assert_close(o, expected[key], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(torch.tensor(losses), torch.tensor(expected_losses), rtol=1e-4, atol=1e-4)

@pytest.mark.parametrize('compile', [False, True])
def test_a_hook_is_called_in_each_step(compile, train, monkeypatch):
    if compile: quick_compiler(monkeypatch)
    model,calls = CVAE(), []
    model.encoder.register_forward_hook(lambda module, inputs, output: calls.append(module.training))
    fit(model, train, train[:40], config, device='cpu', progress=False, compile=compile)
    assert calls.count(True) == 2*5

@pytest.mark.parametrize('change', [lambda model: model.decoder.__setitem__(1, nn.GELU()),
                                    lambda model: model.classifier.register_forward_hook(stretched),
                                    lambda model: model.encoder.append(nn.Tanh())])
def test_a_change_between_two_steps_is_noticed(change, train, monkeypatch):
    from cvae_nbdev.runs import compiled
    quick_compiler(monkeypatch)
    written,translated = (Trainer(CVAE(CVAEConfig(decoder_layers=(16,))), train, train, config) for _ in range(2))
    translated.loss = compiled(translated.loss)
    for trainer in (written, translated):
        for i,batch in enumerate(trainer.batches()):
            if i == 2: change(trainer.model)
            trainer.train_step(*batch)
    for a,b in zip(written.model.parameters(), translated.model.parameters()): torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)

# --- who knows whom

def modules_used(path):
    "The modules of the package that a module imports, anywhere in it."
    for o in ast.walk(ast.parse(path.read_text())):
        if isinstance(o, ast.ImportFrom) and (o.level or (o.module or '').startswith('cvae_nbdev')):
            module = (o.module or '').removeprefix('cvae_nbdev').lstrip('.')
            yield from [module.split('.')[0]] if module else [name.name for name in o.names]
        if isinstance(o, ast.Import): yield from (name.name.partition('.')[2] or 'itself' for name in o.names if name.name.split('.')[0] == 'cvae_nbdev')

@pytest.mark.parametrize('name', ['data', 'model', 'losses', 'training'])
def test_the_tutorial_imports_no_engine(name):
    assert set(modules_used(package/f'{name}.py')) <= {'core', 'data', 'model', 'losses', 'training'}

def functions_of(path):
    "The functions and methods of a module that others may call."
    for o in ast.parse(path.read_text()).body:
        if getattr(o, 'name', '_').startswith('_'): continue
        found = [o] if isinstance(o, ast.FunctionDef) else o.body
        yield from (f for f in found if isinstance(f, ast.FunctionDef) and (f.name[0] != '_' or f.name.endswith('__')))

def test_trainers_and_models_come_with_their_types():
    "Who takes one of the tutorial's objects says so, and a type checker sees it."
    arguments = [(path.name, f.name, o) for path in sorted(package.glob('*.py')) for f in functions_of(path)
                 for o in (*f.args.posonlyargs, *f.args.args, *f.args.kwonlyargs) if o.arg in ('trainer', 'model')]
    assert len(arguments) > 20
    assert not [(module, name, o.arg) for module,name,o in arguments if o.annotation is None]
