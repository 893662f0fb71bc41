"What every member of the family of models must be able to do, tried with members that differ from the reference in all that may differ."
import json,shutil
from dataclasses import replace

import pytest
import torch
from torch import nn

from cvae_nbdev import CVAE,CVAEConfig,FlowCVAE,Judge,Recipe,TrainConfig,Trainer,fit,load_images,load_run
from cvae_nbdev import generate,infer,interpolate,reconstruct,restyle,traverse
from cvae_nbdev.better import FlowConfig,FlowTrainConfig,FlowTrainer
from cvae_nbdev.core import bundled,quiet_init,random_normal
from cvae_nbdev.data import as_floats
from cvae_nbdev.evaluation import Evaluation,Sizes
from cvae_nbdev.losses import cvae_loss
from cvae_nbdev.model import mlp
from cvae_nbdev.runs import RunFolder
from cvae_nbdev.sampling import random_styles

class Toy(CVAE):
    """The encoder sees the class, each class has a prior of its own, z = shift(y) + scale(y) * style, and the standard deviation of
    the pixels is learned."""
    def __init__(self, config: CVAEConfig = CVAEConfig()):
        c = config
        with quiet_init():
            encoder = mlp((c.image_shape[0]*c.image_shape[1] + c.num_classes, *c.encoder_layers), c.activation)
            shift,log_scale = (nn.Linear(c.num_classes, c.z_dim) for _ in range(2))
        super().__init__(config, encoder)
        self.shift,self.log_scale = shift, log_scale
        self.log_std = nn.Parameter(torch.tensor(-1., device='cpu'))

    def encoder_input(self, x, probs): return torch.cat([self.flatten(x), probs], dim=-1)

    def forward(self, x, noise, labels=None):
        output = super().forward(x, noise, labels)
        return output._replace(log_prior=self.log_prior(output.z, output.probs))

    @property
    def pixel_std(self): return self.log_std.exp()

    def to_style(self, z, probs): return (z - self.shift(probs))/self.log_scale(probs).exp()
    def to_z(self, style, probs): return self.shift(probs) + self.log_scale(probs).exp()*style
    def log_prior(self, z, probs): return super().log_prior(self.to_style(z, probs), probs) - self.log_scale(probs).sum(-1)

small = dict(encoder_layers=(8,), classifier_layers=(8,), decoder_layers=(8,))
flow = FlowConfig(z_dim=10, encoder_layers=(8,), classifier_layers=(4, 4), decoder_layers=(8,), couplings=3, coupling_width=8)
briefly = dict(epochs=2, learning_rate=0.01)
recipes = {
    'reference': Recipe(config=CVAEConfig(**small), training=TrainConfig(**briefly)),
    'best': Recipe(FlowCVAE, flow, FlowTrainer, FlowTrainConfig(batch_size=100, **briefly)),
    'toy': Recipe(Toy, CVAEConfig(**small), Trainer, TrainConfig(**briefly)),
    'handed in': Recipe(CVAE, CVAEConfig(), Trainer, TrainConfig(**briefly)),
}
members = pytest.mark.parametrize('kind', recipes)
trained = {}

def networks():
    "An encoder, a classifier and a decoder that CVAE would not make by itself."
    torch.manual_seed(0)
    def image_net(out): return nn.Sequential(nn.Unflatten(1, (1, 28, 28)), nn.Conv2d(1, 2, 5, stride=4), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(72, out))
    return nn.Sequential(image_net(12), nn.GELU()), image_net(10), nn.Sequential(nn.Linear(20, 8), nn.LayerNorm(8), nn.GELU(), nn.Linear(8, 784))

def make(kind, dtype=torch.float32):
    recipe = recipes[kind]
    return recipe.model(recipe.config, *(networks() if kind == 'handed in' else ())).to(dtype)

def train(kind, images, run_dir=None, **more):
    recipe = recipes[kind]
    return fit(make(kind), images, images[:100], recipe.training, recipe.trainer, run_dir, 'cpu', progress=False, **more)

@pytest.fixture
def model(kind, images):
    "Trained a little, so that nothing is as it was made."
    if kind not in trained: trained[kind] = train(kind, images).model.eval()
    return trained[kind]

def normal_prior(kind): return kind in ('reference', 'handed in')

# --- what a member is

@pytest.mark.parametrize('kind', ['toy', 'best'])
def test_some_differ_in_what_a_style_is(model):
    z,probs = random_normal((4, 10), 0), torch.eye(10)[:4]
    assert (model.to_style(z, probs) - z).abs().max() > 1e-3

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
def test_forward_draws_no_random_number_and_carries_what_the_losses_need(kind, model, images):
    x,noise = as_floats(images.images[:5]), random_normal((5, 10), 0)
    before = torch.get_rng_state()
    output = model(x, noise)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(output.z, output.posterior.sample(noise))
    assert torch.equal(output.pixel_logits, model.decode(output.z, output.probs))
    assert (output.log_prior is None) == normal_prior(kind)
    loss = cvae_loss(output, x, images.labels[:5], 10.)
    kl = (output.posterior.log_prob(output.z) - model.log_prior(output.z, output.probs)).mean()
    if not normal_prior(kind): assert torch.allclose(loss.kl, kl)
    pixels = torch.distributions.Normal(output.x_mean, model.pixel_std).log_prob(x)
    assert torch.allclose(loss.reconstruction, -pixels.flatten(1).sum(1).mean(), rtol=1e-4)

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

# --- every caller, with every member

@members
def test_callers(model, images):
    samples = generate(model, [3, 8], n=4, seed=1)
    again = generate(model, [3], style=samples.style[:4]).images
    assert torch.allclose(again, samples.images[:4], atol=1e-6)
    read = infer(model, images.images)
    assert torch.equal(read.labels, read.probs.argmax(-1))
    with torch.no_grad(): styles = model.to_style(read.z_mean, read.probs)
    assert torch.allclose(read.style, styles, atol=1e-5)
    rebuilt = reconstruct(model, images.images[:20])
    with torch.no_grad(): expected = model.decode(read.z_mean[:20], read.probs[:20]).sigmoid()
    assert torch.allclose(rebuilt, expected, atol=1e-3) # there and back through the style
    drawn = restyle(model, images.images[:3], [1, 7])
    assert torch.allclose(drawn[2, 1], generate(model, 7, style=read.style[2]).images[0], atol=1e-5)
    path = interpolate(model, images.images[0], images.images[1], steps=3)
    assert torch.allclose(path[[0, 2]], rebuilt[:2], atol=1e-4)
    moved = traverse(model, 5, 0, steps=3)
    assert torch.allclose(moved[1], generate(model, 5, style=[0]*10).images[0], atol=1e-6)

@members
def test_work_in_batches_is_the_same_work(model, images, monkeypatch):
    "However few images at a time: what is computed does not depend on it."
    calls = [lambda: generate(model, n=30).images, lambda: infer(model, images.images).style,
             lambda: reconstruct(model, images.images[:50]), lambda: restyle(model, images.images[:7])]
    whole = [o() for o in calls]
    sizes = []
    decode = CVAE.decode
    monkeypatch.setattr(CVAE, 'decode', lambda self, z, probs: (sizes.append(len(z)), decode(self, z, probs))[1])
    import cvae_nbdev.sampling as sampling
    small = lambda f, *tensors: core_in_batches(f, *tensors, batch_size=17)
    core_in_batches = sampling.in_batches
    for name in ('generate', 'infer', 'reconstruct', 'restyle'):
        monkeypatch.setitem(getattr(sampling, name).__wrapped__.__globals__, 'in_batches', small)
    for o,expected in zip(calls, whole): assert torch.allclose(o(), expected, atol=1e-5)
    assert max(sizes) == 17

def measured(kind, model, images):
    "The losses, as a trainer measures them."
    recipe = recipes[kind]
    return recipe.trainer(model, images, images[:100], replace(recipe.training, batch_size=100)).measure(images)

@members
def test_measures(kind, model, images):
    sizes = Sizes(test_images=200, bound_images=5, bound_samples=(1, 10), per_class=20, training_images=200, trainings=2,
                  probe_images=500, swap_images=20)
    report = Evaluation(model, images, images, Judge.from_pretrained('judge'), sizes).report()
    found = report['elbo_predicted_label']
    assert abs(found.value + measured(kind, model, images)['vae_loss']) < 20 # other images of the 600, other noise
    assert report['iwae_10_true_label'].value > report['elbo_true_label'].value

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
    recipe,alone = recipes[kind], train(kind, images)
    first = recipe.trainer(make(kind), images, images[:100], recipe.training)
    with RunFolder(tmp_path/'run') as folder:
        folder.open(first)
        for step in first.run():
            if first.epoch == 1 and step == 2: break
        folder.save_checkpoint(first)
    resumed = train(kind, images, tmp_path/'run', resume=True)
    assert torch.equal(resumed.samples, alone.samples)
    into = make(kind) if kind == 'handed in' else None
    if not into: assert type(load_run(tmp_path/'run').model) is recipe.model
    loaded = CVAE.from_pretrained(tmp_path/'run', into=into)
    assert type(loaded) is recipe.model
    assert torch.equal(infer(loaded, images.images).style, infer(alone.model, images.images).style)

@members
def test_a_sweep(kind, images):
    if kind == 'handed in': return # a recipe has no networks
    from cvae_nbdev import sweep
    result = sweep({'one': recipes[kind]}, images, images[:100], device='cpu', progress=False)
    assert not result.errors and torch.equal(result.runs['one'].samples, train(kind, images).samples)

# --- other types of numbers, other defaults of PyTorch

@members
@pytest.mark.parametrize('dtype,tolerance', [(torch.float64, 1e-5), (torch.float16, 2e-2), (torch.bfloat16, 1e-1)])
def test_other_types(kind, model, dtype, tolerance, images, tmp_path):
    model.save_pretrained(tmp_path)
    def load(folder, dtype=None): return CVAE.from_pretrained(folder, dtype=dtype, into=make(kind) if kind == 'handed in' else None)
    other = load(tmp_path, dtype)
    samples,expected = generate(other, n=2), generate(model, n=2)
    assert samples.images.dtype == dtype
    assert (samples.images.float() - expected.images).abs().mean() < tolerance
    read = infer(other, images.images)
    assert (read.labels == infer(model, images.images).labels).float().mean() > 0.95
    for o in (reconstruct(other, images.images[:2]), restyle(other, images.images[:2]), interpolate(other, 3, 8), traverse(other, 3, 0)):
        assert o.dtype == dtype and o.isfinite().all()
    other.save_pretrained(tmp_path/'again')
    assert load(tmp_path/'again').dtype == dtype
    assert load(tmp_path/'again', torch.float32).dtype == torch.float32
    if dtype != torch.float16: assert measured(kind, other, images)['vae_loss'] > 0

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
    model = CVAE().train()
    model.encoder.append(nn.Dropout(0.5)).train()
    assert torch.equal(infer(model, images.images).style, infer(model, images.images).style)
    assert model.training and model.encoder[-1].training
    model.eval()
    trainer = Trainer(model, images, images[:100], TrainConfig(epochs=1))
    modes = [(step, model.training) for step in trainer.run()]
    assert all(training for step,training in modes if step) and not model.training

def test_styles_are_the_same_on_every_device_and_in_every_type():
    model = CVAE()
    assert torch.equal(random_styles(model.double(), 3, 7).float(), random_styles(model.float(), 3, 7))

def test_a_folder_with_fewer_settings_still_loads(tmp_path):
    "Settings that are not in it, and are the reference's."
    shutil.copytree(bundled('models', 'post'), tmp_path/'post')
    config = json.loads((tmp_path/'post'/'config.json').read_text())
    first = ('image_shape', 'num_classes', 'z_dim', 'encoder_layers', 'classifier_layers', 'decoder_layers', 'activation', 'decoder_std',
             'min_var', 'class_names')
    config['model'] = {name: config['model'][name] for name in first}
    (tmp_path/'post'/'config.json').write_text(json.dumps(config))
    old,new = CVAE.from_pretrained(tmp_path/'post'), CVAE.from_pretrained('post')
    assert old.config == new.config == CVAEConfig() and torch.equal(generate(old).images, generate(new).images)
