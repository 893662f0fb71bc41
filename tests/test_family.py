"What every member of the family of models must be able to do, tried with one that differs from the reference in all that may differ."
import json,shutil
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.func import functional_call,grad,stack_module_state,vmap

from cvae_nbdev.core import bundled,random_normal
from cvae_nbdev.data import as_floats
from cvae_nbdev.evaluation import Evaluation,Sizes
from cvae_nbdev.judge import Judge
from cvae_nbdev.losses import cvae_loss
from cvae_nbdev.model import CVAE,CVAEConfig,Posterior,mlp
from cvae_nbdev.sampling import generate,infer,interpolate,random_styles,reconstruct,restyle,traverse
from cvae_nbdev.sources import load_images
from cvae_nbdev.sweeps import steps_together
from cvae_nbdev.training import TrainConfig,Trainer,evaluate_losses,fit,load_run,sample_classes

class Toy(CVAE):
    "The encoder sees the class, and each class has a prior of its own: z = shift(y) + scale(y) * style."
    normal_prior = False
    def make_networks(self):
        super().make_networks()
        c = self.config
        self.encoder = mlp((c.image_shape[0]*c.image_shape[1] + c.num_classes, *c.encoder_layers), c.activation)
        self.shift,self.log_scale = (nn.Linear(c.num_classes, c.z_dim) for _ in range(2))

    def encode(self, x, probs=None):
        h = self.encoder(torch.cat([self.flatten(x), probs], dim=-1))
        return Posterior(self.encoder_mean(h), self.config.min_var + self.encoder_log_var(h).exp())

    def to_style(self, z, probs): return (z - self.shift(probs))/self.log_scale(probs).exp()
    def to_z(self, style, probs): return self.shift(probs) + self.log_scale(probs).exp()*style
    def log_prior(self, z, probs): return super().log_prior(self.to_style(z, probs), probs) - self.log_scale(probs).sum(-1)

@pytest.fixture(scope='module')
def images(): return load_images('mnist', 'test')[:600]

small = dict(encoder_layers=(8,), classifier_layers=(8,), decoder_layers=(8,))
choices = { # a member for each choice, and two that make many at once
    'reference': {}, 'detached': {'decoder_reads': 'detached'}, 'one-hot': {'decoder_reads': 'one-hot'},
    'label': {'decoder_reads': 'label'}, 'class': {'encoder_reads': 'image-and-class'}, 'flow': {'prior': 'flow', 'couplings': 3, 'coupling_width': 8},
    'learned': {'likelihood': 'gaussian-learned'}, 'bernoulli': {'likelihood': 'bernoulli'}, 'pool': {'encoder_pool': 3},
    'conv': dict(encoder_net='conv', encoder_layers=(4, 4), classifier_net='conv', classifier_layers=(4,), decoder_net='conv', decoder_layers=(8, 4),
                 encoder_reads='image-and-class'),
    'best': dict(encoder_reads='image-and-class', decoder_reads='label', prior='flow', couplings=3, coupling_width=8, classifier_net='conv',
                 classifier_layers=(4, 4), encoder_pool=2, activation='relu', decoder_std=0.2),
}
members = pytest.mark.parametrize('kind', [*choices, 'toy'])
trained = {}

def make(kind, **more): return (Toy if kind == 'toy' else CVAE)(CVAEConfig(**small | choices.get(kind, {}) | more))

@pytest.fixture
def model(kind, images):
    "Trained a little, so that nothing is as it was made."
    if kind not in trained:
        config = TrainConfig(epochs=2, learning_rate=0.01, schedule='one-cycle', max_gradient=5, augment='warp')
        trained[kind] = fit(make(kind), images, images[:100], config, device='cpu', progress=False).model.eval()
    return trained[kind]

# --- what a member is

@pytest.mark.parametrize('kind', ['toy', 'flow', 'best'])
def test_some_differ_in_what_a_style_is(model):
    z,probs = random_normal((4, 10), 0), torch.eye(10)[:4]
    assert (model.to_style(z, probs) - z).abs().max() > 1e-3 and not model.normal_prior

@members
def test_style_and_z_are_inverse(model):
    z,probs = random_normal((10, 10), 1), torch.eye(10)
    assert torch.allclose(model.to_z(model.to_style(z, probs), probs), z, atol=1e-5)

@members
def test_prior_is_the_density_of_z(model):
    "The change of variables: log p(z|y) = log N(style) + log |det d style/d z|, with the Jacobian from autograd."
    z,probs = random_normal((1, 10), 2), torch.eye(10)[3:4]
    jacobian = torch.autograd.functional.jacobian(lambda o: model.to_style(o, probs), z)[0, :, 0]
    normal = torch.distributions.Normal(0., 1.).log_prob(model.to_style(z, probs)).sum(-1)
    assert torch.allclose(model.log_prior(z, probs), normal + jacobian.slogdet().logabsdet, atol=1e-4)

@members
def test_forward_draws_no_random_number_and_carries_what_the_losses_need(model, images):
    x,noise = as_floats(images.images[:5]), random_normal((5, 10), 0)
    before = torch.get_rng_state()
    output = model(x, noise, images.labels[:5])
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(output.z, output.posterior.sample(noise))
    assert torch.equal(output.pixel_logits, model.decode(output.z, output.probs))
    assert (output.log_prior is None) == model.normal_prior
    loss = cvae_loss(output, x, images.labels[:5], model.config, 10.)
    kl = (output.posterior.log_prob(output.z) - model.log_prior(output.z, output.probs)).mean()
    if not model.normal_prior: assert torch.allclose(loss.kl, kl)

@members
def test_read_and_draw_are_the_two_directions(model, images):
    x = as_floats(images.images[:50])
    with torch.no_grad():
        read = model.read(x)
        assert torch.allclose(read.style, model.to_style(model.encode(x, read.probs).mean, read.probs), atol=1e-6)
        drawn = model.draw(read.style, read.probs)
        assert torch.allclose(drawn, model.decode(read.posterior.mean, read.probs).sigmoid(), atol=1e-4)

@members
def test_compiles_whole(model, images):
    x,noise = as_floats(images.images[:5]), random_normal((5, 10), 0)
    torch.compiler.reset()
    compiled = torch.compile(model, fullgraph=True, backend='aot_eager')
    assert torch.allclose(compiled(x, noise).pixel_logits, model(x, noise).pixel_logits, atol=1e-5)

@members
def test_many_models_in_one_call(kind, images):
    x,labels,noise = as_floats(images.images[:5]), images.labels[:5], random_normal((5, 10), 0)
    models = [make(kind, init_seed=i).eval() for i in range(3)]
    weights,buffers = stack_module_state(models)
    def loss_of(weights, buffers): return cvae_loss(functional_call(models[0], (weights, buffers), (x, noise)), x, labels, models[0].config, 10.).total
    together = vmap(grad(loss_of))(weights, buffers)
    for i,one in enumerate(models):
        loss_of(dict(one.named_parameters()), dict(one.named_buffers())).backward()
        for name,o in one.named_parameters(): assert torch.allclose(together[name][i], o.grad, atol=1e-4), name

@members
def test_steps_together_are_steps_alone(kind, images):
    config = TrainConfig(epochs=1, schedule='one-cycle', max_gradient=5, augment='warp')
    def trainers():
        return [Trainer(make(kind, init_seed=i), images, images[:100], replace(config, seed=i, digit_weight=i), 'cpu') for i in range(3)]
    together,alone = trainers(), trainers()
    for _ in steps_together(together, stacked=True): pass
    for one in alone:
        for _ in one.steps(): pass
    for a,b in zip(together, alone):
        assert (a.step, len(a.recent)) == (b.step, len(b.recent)) == (6, 6)
        for (name,x),y in zip(a.model.state_dict().items(), b.model.state_dict().values()): assert torch.allclose(x, y, atol=1e-4), name

# --- every caller, with every member

@members
def test_callers(model, images):
    samples = generate(model, [3, 8], n=4, seed=1)
    again = generate(model, [3], style=samples.style[:4]).images
    assert torch.allclose(again, samples.images[:4], atol=1e-6)
    read = infer(model, images.images)
    assert torch.equal(read.labels, read.probabilities.argmax(-1))
    with torch.no_grad(): styles = model.to_style(read.z_mean, read.probabilities)
    assert torch.allclose(read.style, styles, atol=1e-5)
    rebuilt = reconstruct(model, images.images[:20])
    with torch.no_grad(): expected = model.decode(read.z_mean[:20], read.probabilities[:20]).sigmoid()
    assert torch.allclose(rebuilt, expected, atol=1e-3) # there and back through the style
    drawn = restyle(model, images.images[:3], [1, 7])
    assert torch.allclose(drawn[2, 1], generate(model, 7, style=read.style[2]).images[0], atol=1e-5)
    path = interpolate(model, images.images[0], images.images[1], steps=3)
    assert torch.allclose(path[[0, 2]], rebuilt[:2], atol=1e-4)
    moved = traverse(model, 5, 0, steps=3)
    assert torch.allclose(moved[1], generate(model, 5, style=[0]*10).images[0], atol=1e-6)
    assert sample_classes(model, 42).shape == (10, 28, 28)

@members
def test_work_in_batches_is_the_same_work(model, images, monkeypatch):
    "However few images at a time: what is computed does not depend on it."
    calls = [lambda: generate(model, n=30).images, lambda: infer(model, images.images).style,
             lambda: reconstruct(model, images.images[:50]), lambda: restyle(model, images.images[:7])]
    whole = [o() for o in calls]
    sizes = []
    plain = CVAE.decode
    monkeypatch.setattr(CVAE, 'decode', lambda self, z, probs: (sizes.append(len(z)), plain(self, z, probs))[1])
    import cvae_nbdev.sampling as sampling
    small = lambda f, *tensors: core_in_batches(f, *tensors, batch_size=17)
    core_in_batches = sampling.in_batches
    for name in ('generate', 'infer', 'reconstruct', 'restyle'):
        monkeypatch.setitem(getattr(sampling, name).__wrapped__.__globals__, 'in_batches', small)
    for o,expected in zip(calls, whole): assert torch.allclose(o(), expected, atol=1e-5)
    assert max(sizes) == 17

@members
def test_measures(model, images):
    sizes = Sizes(test_images=200, bound_images=5, bound_samples=(1, 10), per_class=20, training_images=200, trainings=2,
                  probe_images=500, swap_images=20)
    report = Evaluation(model, images, images, Judge().eval(), sizes).report(progress=False)
    elbo = -evaluate_losses(model, images[:200], 10)['vae_loss']
    found = report['elbo_predicted_label']
    assert abs(found.value - elbo) < 20 # other images of the 600, other noise
    assert report['iwae_10_predicted_label'].value > found.value

@members
def test_widgets(model, images):
    from cvae_nbdev.widgets import explore,restyle_explorer
    parts = explore(model).parts
    parts.new.click()
    drawn = generate(model, parts.digit.value, style=parts.style.value).images[0]
    assert torch.allclose(parts.image.images[0], drawn, atol=1e-6)
    parts = restyle_explorer(model, images).parts
    assert torch.allclose(parts.row.images, restyle(model, images.images[0])[0], atol=1e-6)

@members
def test_checkpoints_and_saved_models(kind, images, tmp_path):
    config = TrainConfig(epochs=2, schedule='one-cycle', max_gradient=5, augment='warp')
    alone = fit(make(kind), images, images[:100], config, device='cpu', progress=False)
    first = Trainer(make(kind), images, images[:100], config, 'cpu')
    from cvae_nbdev.runs import RunFolder
    with RunFolder(tmp_path/'run') as folder:
        folder.open(first, resume=False, overwrite=False)
        for step in first.run():
            if first.epoch == 1 and step == 2: break
        folder.save_checkpoint(first)
    resumed = fit(make(kind), images, images[:100], config, tmp_path/'run', 'cpu', resume=True, progress=False)
    assert torch.equal(resumed.samples, alone.samples)
    loaded = type(alone.model).from_pretrained(tmp_path/'run')
    assert torch.equal(infer(loaded, images.images).style, infer(alone.model, images.images).style)

# --- other types of numbers, other defaults of PyTorch

@members
@pytest.mark.parametrize('dtype,tolerance', [(torch.float64, 1e-5), (torch.float16, 2e-2), (torch.bfloat16, 1e-1)])
def test_other_types(kind, model, dtype, tolerance, images, tmp_path):
    model.save_pretrained(tmp_path)
    other = type(model).from_pretrained(tmp_path, dtype=dtype)
    samples,expected = generate(other, n=2), generate(model, n=2)
    assert samples.images.dtype == dtype
    assert (samples.images.float() - expected.images).abs().mean() < tolerance
    read = infer(other, images.images)
    assert (read.labels == infer(model, images.images).labels).float().mean() > 0.95
    for o in (reconstruct(other, images.images[:2]), restyle(other, images.images[:2]), interpolate(other, 3, 8), traverse(other, 3, 0)):
        assert o.dtype == dtype and o.isfinite().all()
    other.save_pretrained(tmp_path/'again')
    assert type(model).from_pretrained(tmp_path/'again').dtype == dtype
    assert type(model).from_pretrained(tmp_path/'again', dtype=torch.float32).dtype == torch.float32
    assert evaluate_losses(other, images[:100], 10)['vae_loss'] > 0

def test_default_dtype_float64(images):
    torch.set_default_dtype(torch.float64)
    try:
        model = CVAE.from_pretrained('post')
        assert model.dtype == torch.float32 and generate(model, n=2).images.dtype == torch.float32
        assert infer(model, images.images).style.dtype == torch.float32
        run = fit(CVAE(CVAEConfig(decoder_layers=(8,))), images, images[:100], TrainConfig(epochs=1), device='cpu', progress=False)
        assert run.model.dtype == torch.float64 and run.samples.dtype == torch.float32
        assert infer(run.model, images.images/255).style.dtype == torch.float64
    finally: torch.set_default_dtype(torch.float32)

def test_another_default_device(images):
    "As under set_default_device('cuda'): whatever does not say where it is made would land on a device that is not meant."
    expected = fit(CVAE(), images, images[:100], TrainConfig(epochs=1), device='cpu', progress=False)
    with torch.device('meta'):
        model = CVAE.from_pretrained('post')
        assert generate(model, n=2).images.device.type == 'cpu'
        x = load_images('mnist', 'test')[:50].images
        assert restyle(model, x, [3]).device.type == 'cpu' and reconstruct(model, x.numpy()).device.type == 'cpu'
        assert interpolate(model, 3, 8).device.type == 'cpu' and traverse(model, 3, 0).device.type == 'cpu'
        run = fit(CVAE(), images, images[:100], TrainConfig(epochs=1), device='cpu', progress=False)
    assert torch.equal(run.samples, expected.samples)

def test_a_model_of_its_own_seed_leaves_the_global_state_alone():
    before = torch.get_rng_state()
    models = [CVAE(), CVAE(), CVAE(CVAEConfig(init_seed=1))]
    assert torch.equal(torch.get_rng_state(), before)
    a,b,c = (o.decoder[0].weight for o in models)
    assert torch.equal(a, b) and not torch.equal(a, c)

def test_dropout_is_used_in_training_alone(images):
    class Dropped(CVAE):
        def make_networks(self):
            super().make_networks()
            self.encoder.append(nn.Dropout(0.5))
    model = Dropped().train()
    assert torch.equal(infer(model, images.images).style, infer(model, images.images).style)
    assert model.training and model.encoder[-1].training
    model.eval()
    trainer = Trainer(model, images, images[:100], TrainConfig(epochs=1), 'cpu')
    modes = [(step, model.training) for step in trainer.run()]
    assert all(training for _,training in modes) and not model.training

def test_styles_are_the_same_on_every_device_and_in_every_type():
    model = CVAE()
    assert torch.equal(random_styles(model.double(), 3, 7).float(), random_styles(model.float(), 3, 7))

def test_a_folder_of_before_still_loads(tmp_path):
    "The settings that came later are not in it, and are the reference's."
    shutil.copytree(bundled('models', 'post'), tmp_path/'post')
    config = json.loads((tmp_path/'post'/'config.json').read_text())
    first = ('image_shape', 'num_classes', 'z_dim', 'encoder_layers', 'classifier_layers', 'decoder_layers', 'activation', 'decoder_std',
             'min_var', 'class_names')
    config['model'] = {name: config['model'][name] for name in first}
    (tmp_path/'post'/'config.json').write_text(json.dumps(config))
    old,new = CVAE.from_pretrained(tmp_path/'post'), CVAE.from_pretrained('post')
    assert old.config == new.config == CVAEConfig() and torch.equal(generate(old).images, generate(new).images)
