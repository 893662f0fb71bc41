"Whatever is handed in, only the documented errors come out: `ValueError` or `OSError`, and one line from a command."
import json,os,random,shutil,signal,subprocess,sys,threading,time

import numpy as np
import pytest
import torch
from copy import deepcopy
from hypothesis import HealthCheck,given,settings,strategies as st
from pathlib import Path
from PIL import Image
from safetensors.torch import load_file,save_file

from cvae_nbdev import (CVAE,CVAEConfig,FlowCVAE,ImageSet,Judge,TrainConfig,Trainer,cli,evaluate,explore,fit,generate,infer,interpolate,load_images,load_run,presets,
                        reconstruct,restyle,restyle_explorer,score,show_grid,train_live,traverse)
from cvae_nbdev.better import FlowConfig
from cvae_nbdev.judge import JudgeConfig
from cvae_nbdev.runs import describe,read_checkpoint,restore,state_of,write_checkpoint
from cvae_nbdev.sources import parse_idx

fuzz = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
anything = st.recursive(scalars, lambda o: st.lists(o, max_size=4) | st.dictionaries(st.text(max_size=5), o, max_size=3), max_leaves=8)

def values_for(cls): return st.fixed_dictionaries({}, optional={name: anything for name in cls.__dataclass_fields__})

# --- arbitrary input

@fuzz
@given(st.binary(max_size=64) | st.builds(lambda n,dims,body: bytes([0, 0, 8, n]) + b''.join(o.to_bytes(4, 'big') for o in dims) + body,
                                          st.integers(0, 255), st.lists(st.integers(0, 2**32 - 1) | st.integers(0, 3), max_size=4), st.binary(max_size=32)))
def test_idx(raw):
    try: parsed = parse_idx(bytearray(raw))
    except ValueError: return
    assert parsed.dtype == torch.uint8 and parsed.numel() == len(raw) - 4 - 4*parsed.dim()

@pytest.mark.parametrize('cls', [CVAEConfig, TrainConfig])
@fuzz
@given(st.data())
def test_configs(cls, data):
    values = data.draw(values_for(cls))
    try: config = cls(**values)
    except ValueError as e: assert str(e)
    else: assert cls(**{name: getattr(config, name) for name in cls.__dataclass_fields__}) == config

tensors = st.builds(lambda shape,dtype: torch.zeros(shape, dtype=dtype), st.lists(st.integers(0, 3), max_size=4),
                    st.sampled_from([torch.uint8, torch.int64, torch.int16, torch.uint16, torch.float32, torch.bool, torch.complex64]))

@fuzz
@given(tensors | anything, tensors | anything, anything | st.just('abc'), anything)
def test_image_set(images, labels, class_names, name):
    try: data = ImageSet(images, labels, class_names, name)
    except ValueError as e: assert str(e)
    else: assert len(data.labels) == len(data.images) and data.labels.max() < data.num_classes

@fuzz
@given(st.data())
def test_generate(data):
    model = CVAE(CVAEConfig(image_shape=(2, 3), num_classes=3, z_dim=2))
    labels,style = (data.draw(anything | tensors) for _ in range(2))
    n,seed = data.draw(anything.filter(lambda o: not isinstance(o, int) or o < 100)), data.draw(anything)
    try: samples = generate(model, labels, n, style, seed)
    except ValueError as e: assert str(e)
    else: assert len(samples.images) == len(samples.labels) == len(samples.style) > 0 and samples.images.isfinite().all()

@fuzz
@given(anything | st.fixed_dictionaries({'format': anything | st.just(1), 'model': values_for(CVAEConfig)}))
def test_config_file(saved_model, content):
    (saved_model/'config.json').write_text(json.dumps(content))
    try: CVAE.from_pretrained(saved_model)
    except (ValueError, OSError) as e: assert 'config.json' in str(e) or 'model.safetensors' in str(e)

@fuzz
@given(st.binary(max_size=200))
def test_weights_file_of_noise(saved_model, content):
    (saved_model/'model.safetensors').write_bytes(content)
    with pytest.raises(ValueError, match='model.safetensors'): CVAE.from_pretrained(saved_model)

@fuzz
@given(st.dictionaries(st.text(max_size=5) | st.sampled_from(['encoder.0.weight', 'decoder.0.bias']), tensors, max_size=3))
def test_weights_file_of_others(saved_model, tensors):
    save_file(tensors, saved_model/'model.safetensors')
    with pytest.raises(ValueError, match='model.safetensors'): CVAE.from_pretrained(saved_model)

# --- damaged files

def damaged(content, rng):
    "The content with a bit flipped, or cut short."
    content = bytearray(content)
    if rng.random() < 0.7: content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    else: del content[rng.randrange(len(content)):]
    return content

def test_damaged_weights(saved_model):
    path,rng = saved_model/'model.safetensors', random.Random(0)
    original,expected = path.read_bytes(), CVAE.from_pretrained(saved_model).state_dict()
    refused = 0
    for _ in range(300):
        path.write_bytes(damaged(original, rng))
        try: found = CVAE.from_pretrained(saved_model).state_dict()
        except ValueError as e: refused += 'model.safetensors' in str(e)
        else: assert all(torch.equal(found[name], o) for name,o in expected.items()) # a bit of the metadata that nobody reads
    assert refused > 250

def after_an_epoch(trainer):
    for step in trainer.run():
        if step == 0: return trainer

def test_damaged_checkpoint(images, tmp_path):
    def trainer(): return Trainer(CVAE(CVAEConfig(encoder_layers=(4,), classifier_layers=(4,), decoder_layers=(4,))), images, images[:100], TrainConfig(epochs=2))
    trained = after_an_epoch(trainer())
    path,rng,description = tmp_path/'checkpoint.pt', random.Random(0), describe(trained)
    write_checkpoint(path, state_of(trained, description))
    original,refused = path.read_bytes(), 0
    for _ in range(150):
        path.write_bytes(damaged(original, rng))
        found = trainer()
        try: restore(found, read_checkpoint(path), description, str(path))
        except ValueError as e: refused += 'checkpoint.pt' in str(e)
        else: # the padding between the parts of the archive
            assert all(torch.equal(found.model.state_dict()[name], o) for name,o in trained.model.state_dict().items())
            assert found.history == trained.history and torch.equal(found.samples, trained.samples)
    assert refused > 100

def test_foreign_checkpoint(images, tmp_path):
    trainer = after_an_epoch(Trainer(CVAE(), images, images[:100]))
    path,description = tmp_path/'checkpoint.pt', describe(trainer)
    state = state_of(trainer, description)
    for name in state.keys() - {'versions', 'seconds'}: # these two are only for people to read
        for value in (None, 'x', -1, {}, [], torch.zeros(3)):
            if name == 'machine' and value == {}: continue # another machine is worth a warning
            write_checkpoint(path, {**state, name: value})
            with pytest.raises(ValueError, match='checkpoint.pt'): restore(trainer, read_checkpoint(path), description, str(path))
    write_checkpoint(path, {**state, 'machine': {'device': 'abacus'}})
    with pytest.warns(UserWarning, match='written on abacus'): restore(trainer, read_checkpoint(path), description, str(path))

# --- what people hand in first: each is taken, or is one sentence before any work

few = load_images('mnist', 'test')[:60]
tiny = CVAE(CVAEConfig(z_dim=2, encoder_layers=(4,), classifier_layers=(4,), decoder_layers=(4,)))
brief = TrainConfig(epochs=1, batch_size=20)
loader = torch.utils.data.DataLoader(few.images)

def fitted(model=tiny, train=few, valid=few, config=brief, **more): return fit(deepcopy(model), train, valid, config, progress=False, **more)

uses = { # of a model
    'generate': generate, 'infer': lambda m: infer(m, few), 'score': lambda m: score(m, few), 'reconstruct': lambda m: reconstruct(m, few), 'restyle': lambda m: restyle(m, few),
    'interpolate': lambda m: interpolate(m, 1, 2), 'traverse': lambda m: traverse(m, 1, 0), 'fit': fitted,
    'Trainer': lambda m: Trainer(m, few, few, brief), 'explore': explore, 'restyle_explorer': lambda m: restyle_explorer(m, few),
}
no_models = {'none': None, 'name': 'best', 'path': Path('best'), 'class': CVAE, 'settings': CVAEConfig(), 'linear': torch.nn.Linear(2, 2), 'judge': Judge(),
             'set': few, 'tuple': (tiny, 1, 2), 'weights': tiny.state_dict()}

@pytest.mark.parametrize('model', no_models)
@pytest.mark.parametrize('use', uses)
def test_what_is_no_model(use, model):
    with pytest.raises(ValueError, match='^model is .*expected a CVAE'): uses[use](no_models[model])

readers = {'infer': infer, 'score': score, 'reconstruct': reconstruct, 'restyle': restyle, 'restyle_explorer': restyle_explorer,
           'interpolate': lambda m,images: interpolate(m, images, few.images[0])}
grey = Image.fromarray(few.images[0].numpy())
images_taken = {'set': few[:1], 'tensor': few.images[:1], 'one': few.images[0], 'numpy': few.images[:1].numpy(), 'double': few.images[:1].double()/255,
                'list': [few.images[0]], 'list of arrays': [few.images[0].numpy()], 'channels': few.images[:1, None], 'picture': grey, 'pictures': [grey]}
images_refused = {'text': 'x.png', 'path': Path('x.png'), 'none': None, 'loader': loader, 'dict': {}, 'nothing': [], 'numbers': [[1, 2], [3, 4]], 'wide': torch.zeros(1, 5, 5),
                  'generator': (o for o in few.images), 'colour': torch.zeros(2, 3, 28, 28, dtype=torch.uint8), 'bright': torch.full((1, 28, 28), 255.),
                  'bools': few.images > 0, 'nan': torch.full((1, 28, 28), torch.nan), 'sets': [few, 3], 'odd shapes': [few.images[0], few.images[0, :5]]}

@pytest.mark.parametrize('images', images_taken)
@pytest.mark.parametrize('reader', readers)
def test_images_that_are_taken(reader, images): readers[reader](tiny, images_taken[images])

@pytest.mark.parametrize('images', images_refused)
@pytest.mark.parametrize('reader', readers)
def test_images_that_are_refused(reader, images):
    with pytest.raises(ValueError, match='images? |images$|[Ii]mages'): readers[reader](tiny, images_refused[images])

drawers = {'generate': generate, 'reconstruct': lambda m,labels: reconstruct(m, few[:1], labels), 'restyle': lambda m,labels: restyle(m, few[:1], labels),
           'ImageSet': lambda m,labels: ImageSet(few.images[:1], labels, '0123456789')}
labels_taken = {'number': 3, 'numpy number': np.int64(3), 'name': '3', 'numbers': [3], 'names': ['3'], 'tuple': ('3',), 'numpy': np.array([3]), 'numpy names': np.array(['3']),
                'bytes': torch.tensor([3], dtype=torch.uint8), 'scalar': torch.tensor(3), 'range': range(3, 4)}
labels_refused = {'text': 'x', 'float': 3., 'floats': [1.5], 'bool': True, 'set': few, 'dict': {1: 2}, 'python set': {1}, 'nothing': [], 'table': torch.zeros(2, 2).long(),
                  'negative': -2, 'ten': 10, 'huge': 10**30, 'model': tiny, 'mixed': ['3', 8], 'generator': (o for o in (1, 2)), 'nested': [[1]], 'nan': float('nan')}

@pytest.mark.parametrize('labels', labels_taken)
@pytest.mark.parametrize('drawer', drawers)
def test_labels_that_are_taken(drawer, labels): drawers[drawer](tiny, labels_taken[labels])

@pytest.mark.parametrize('labels', labels_refused)
@pytest.mark.parametrize('drawer', drawers)
def test_labels_that_are_refused(drawer, labels):
    with pytest.raises(ValueError, match='label|class'): drawers[drawer](tiny, labels_refused[labels])

@pytest.mark.parametrize('label', ['3', 3, np.int64(3), torch.tensor(3)])
def test_one_class_by_number_or_name(label):
    assert torch.equal(traverse(tiny, label, 0), traverse(tiny, 3, 0)) and torch.equal(interpolate(tiny, label, '8'), interpolate(tiny, 3, 8))

styled = {'generate': lambda o: generate(tiny, style=o), 'interpolate': lambda o: interpolate(tiny, 1, 2, style=o), 'traverse': lambda o: traverse(tiny, 1, 0, style=o)}

@pytest.mark.parametrize('style', ['x', [0, 0, 0], [0, float('nan')], tiny, {}, few, torch.zeros(2, 2, 2), 3, [1j, 0]], ids=str)
@pytest.mark.parametrize('use', styled)
def test_styles(use, style):
    with pytest.raises(ValueError, match='^style '): styled[use](style)

numbered = {
    'n': lambda o: generate(tiny, n=o), 'seed': lambda o: generate(tiny, seed=o), 'steps': lambda o: interpolate(tiny, 1, 2, steps=o), 'dim': lambda o: traverse(tiny, 1, o),
    'span': lambda o: traverse(tiny, 1, 0, span=o), 'checkpoint_seconds': lambda o: fitted(checkpoint_seconds=o),
}

@pytest.mark.parametrize('number', ['3', None, [1], True, float('nan'), 2j, -10**12, tiny], ids=lambda o: str(o)[:8])
@pytest.mark.parametrize('use', numbered)
def test_numbers(use, number):
    if (use, number) == ('n', None): return # one of each
    with pytest.raises(ValueError, match=f'^{use} is '): numbered[use](number)

devices = {'fit': lambda o: fitted(device=o), 'from_pretrained': lambda o: CVAE.from_pretrained('post', o), 'load_run': lambda o: load_run('post', o), 'to': few.to,
           'Judge': lambda o: Judge.from_pretrained('judge', o), 'train_live': lambda o: train_live(few, few, o)}

@pytest.mark.parametrize('use', devices)
def test_devices(use):
    for good in ('auto', 'cpu', torch.device('cpu')): devices[use](good)
    for bad in ('gpu', None, 'cuda:99', CVAEConfig(), few):
        with pytest.raises(ValueError, match='^device is '): devices[use](bad)

sets = {'fit': fitted, 'fit, valid': lambda o: fitted(valid=o), 'Trainer': lambda o: Trainer(tiny, o, few, brief), 'evaluate': lambda o: evaluate(tiny, o, few),
        'train_live': lambda o: train_live(o, few), 'train_live, valid': lambda o: train_live(few, o)}

@pytest.mark.parametrize('use', ['Trainer', 'evaluate', 'fit, valid', 'train_live', 'train_live, valid', 'fit'])
def test_sets(use):
    for bad in (loader, few.images, few.images.numpy(), 'mnist', (few.images, few.labels), list(few.images), {}, CVAEConfig()):
        with pytest.raises(ValueError, match='expected an ImageSet'): (fitted(train=bad) if use == 'fit' else sets[use](bad))

all_settings = {
    'fit': lambda o: fitted(config=o), 'Trainer': lambda o: Trainer(tiny, few, few, o), 'CVAE': CVAE, 'FlowCVAE': FlowCVAE, 'Judge': Judge,
}

@pytest.mark.parametrize('use', all_settings)
def test_settings(use):
    for bad in ('best', 20, {}, {'epochs': 1}, TrainConfig, CVAEConfig, tiny, few, presets['best'], FlowConfig if use == 'FlowCVAE' else JudgeConfig(('a',)) if use != 'Judge' else brief):
        with pytest.raises(ValueError, match='^config is '): all_settings[use](bad)
    if use in ('fit', 'Trainer'):
        with pytest.raises(ValueError, match='^config is '): all_settings[use](CVAEConfig())
    if use in ('CVAE', 'FlowCVAE'):
        with pytest.raises(ValueError, match='^config is '): all_settings[use](brief)

def test_types_of_floats():
    for good in ('float16', 'bfloat16', torch.float64, None): CVAE.from_pretrained('post', dtype=good)
    for bad in ('half16', 'int8', torch.int8, float, np.float32, 16):
        with pytest.raises(ValueError, match='^dtype is '): CVAE.from_pretrained('post', dtype=bad)

@pytest.mark.parametrize('load', [CVAE.from_pretrained, load_run, Judge.from_pretrained])
def test_what_is_no_name(load):
    for bad in (tiny, CVAEConfig(), CVAE, 3, ['post'], ''):
        with pytest.raises(ValueError, match='^(name is|the name of)'): load(bad)

def test_single_arguments():
    for bad in ('best', CVAE): # a model made the same way
        with pytest.raises(ValueError, match='^into is '): CVAE.from_pretrained('post', into=bad)
    for bad in (tiny, 'best', None, brief, CVAE):
        with pytest.raises(ValueError, match='^trainer is '): fitted(trainer=bad)
    for bad in ('best', None, CVAE, (CVAE, CVAEConfig())):
        with pytest.raises(ValueError, match='^recipe is '): train_live(few, few, recipe=bad)
    with pytest.raises(ValueError, match='^n is 2, the number of new styles, but style is given'): generate(tiny, n=2, style=[0, 0])
    for bad in (3, None, ['a'], 'ab', ['a']*30):
        with pytest.raises(ValueError, match='^column_names is '): show_grid(few.images[:3], column_names=bad)
        with pytest.raises(ValueError, match='^row_names is '): show_grid(few.images[:6].unflatten(0, (3, 2)), row_names=bad)
    for bad in ('x.png', None, loader, 3, [], torch.zeros(3)):
        with pytest.raises(ValueError, match='^images '): show_grid(bad)
    for bad in (3, None, 'training'):
        with pytest.raises(ValueError, match='^split is '): load_images('mnist', bad)

@pytest.mark.parametrize('call', [
    *(lambda o=o: evaluate(o, few, few) for o in no_models.values()), *(lambda o=o: load_images(o) for o in (tiny, None, 3, CVAE, ['a'], ('a',))),
    *(lambda o=o: fitted(run_dir=o) for o in (tiny, CVAEConfig(), 3)), *(lambda o=o: CVAE(encoder=o) for o in ('mlp', torch.nn.Linear, 3)),
])
def test_what_else_is_handed_in_by_mistake(call):
    with pytest.raises(ValueError): call()

# --- the commands: exit code 2 and one line, and nothing written

commands = {
    'cvae_train': [
        '--epochs 0', '--epochs -1', '--epochs x', '--epochs 1.5', '--epochs', '--epoch 1', '--batch_size 0', '--batch_size 60000', '--learning_rate 0',
        '--learning_rate -1', '--learning_rate nan', '--learning_rate inf', '--adam_epsilon 0', '--digit_weight -1', '--digit_weight nan', '--seed -1',
        '--seed 99999999999999999999', '--image_shape 28', '--image_shape 0,28', '--image_shape a,b', '--image_shape 20,20', '--image_shape 1000000,1000000',
        '--num_classes 0', '--num_classes 9', '--class_names a,b', '--class_names a,a', '--class_names a,a,b,c,d,e,f,g,h,i', '--z_dim 0', '--z_dim 9999999999',
        '--encoder_layers 0', '--encoder_layers x', '--encoder_layers 1.5', '--classifier_layers 1,,2', '--decoder_layers -5', '--decoder_layers 1000000,1000000',
        '--activation swish', "--activation ''", '--decoder_std', '--decoder_std 0', '--decoder_std -1', '--decoder_std 1e300', '--min_var 0', '--min_var nan',
        '--init_seed -1', '--init_seed x', "--data ''", '--data nothing', '--data empty', '--data broken', '--data file', '--device gpu', '--device cuda:99',
        '--device mps:7', "--device ''", '--checkpoint_seconds nan', '--checkpoint_seconds -1', '--out file/run', '--out finished', "--out ''", '--out file',
        '--out letters', '--out letters --overwrite', '--out /dev/null', '--resume --out finished', '--resume --out nothing', '--resume', '--resume --out empty',
        '--resume --overwrite', '--resume 1', '--invert', '--invert 1', '--data kmnist --invert', '--data broken --invert', '--preset better', "--preset ''",
        '--preset', '--preset best --epochs 0', '--preset best --couplings 0', '--preset best --coupling_width x', '--preset best --encoder_pool 0',
        '--preset best --encoder_pool 29', '--preset best --max_grad_norm -1', '--couplings 3', '--coupling_width 8', '--encoder_pool 2', '--max_grad_norm 1',
        '--step plain', '--keep_in disk', '--encoder_reads label', '--likelihood poisson', '--schedule one-cycle', '--augment warp', '--prior flow',
        '--compile 1', '--no_such_option', '--out broken --overwrite --data minst', 'runs/x',
    ],
    'cvae_sample': [
        '', 'nobody', 'empty', 'file', "''", 'post --digits x', 'post --digits 10,11', 'post --digits 1,', "post --digits ''", 'post --n 0', 'post --n -3',
        'post --n x', 'post --n 1.5', 'post --n 99999999', 'post --seed -1', 'post --seed x', 'post --one_style yes', 'post extra', 'post --epochs 3',
        'post --out picture.txt', 'post --out picture', 'post --out samples.h5', 'post --out empty', 'post --out .', 'post --out no/such/folder.png',
        'post --out no/such/folder.npz', "post --out ''", 'post --out /dev/null', 'post --out finished/samples.png', 'post --out finished/losses.png',
        'post --out link_to_a_run.png', 'post --out link_to_nowhere.png', 'post --out file/x.png', 'post --device gpu', 'newer', 'truncated', 'other_shape', 'not_json', 'unfinished',
        'best_of_all', 'a_judge',
    ],
    'cvae_evaluate': [
        '', 'nobody', 'empty', "''", 'post --seed -1', 'post --seed x', 'post --out no/such/metrics.json', 'post --out empty', 'post --out metrics.txt',
        'post --out metrics', 'post --out digits.png', 'post --out finished/config.json', 'post --out finished/history.json', 'post --out finished/model.safetensors',
        "post --out ''", 'post --out link_to_a_run.json', 'post --out file/x.json', 'post --device gpu', 'post --quickly', 'newer', 'finished', 'unfinished', 'nameless', 'empty_name', 'odd_name',
        'post --data nothing', "post --data ''", 'post --data broken', 'post --data', 'post --invert', 'post --judge file', 'post --judge broken',
        'post --judge finished', 'post --judge letters', 'post --judge half_a_judge', 'post --judge', "post --judge ''", 'post --judge newer', 'oddly_inverted',
        'post --data broken --judge new', 'a_judge',
    ],
    'cvae_infer': [
        '', 'post', 'post missing.png', 'post text.png', 'post seven.png text.png', 'post empty', 'post truncated.png', "post ''", "post seven.png ''",
        'nobody seven.png', 'post seven.png --device gpu', 'post seven.png --colour', 'post .', 'post seven.png .', 'newer seven.png', 'unfinished seven.png',
        'post seven.png --invert missing.png', 'post seven.png --centre', 'post seven.png --centre --invert', 'post seven.png --centre 1', 'post text.png --centre',
        'oddly_inverted seven.png', 'post seven.png --preset best', 'a_judge seven.png',
    ],
}

@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    "A folder with all kinds of things that a command might be pointed at."
    here = tmp_path_factory.mktemp('commands')
    (here/'empty').mkdir()
    (here/'file').write_text('not a folder')
    (here/'text.png').write_text('not a picture')
    Image.fromarray(np.zeros((28, 28), np.uint8)).save(here/'seven.png')
    Image.fromarray(load_images('mnist', 'test').images[0].numpy()).save(here/'clean.png') # nothing to be said of it
    (here/'truncated.png').write_bytes((here/'seven.png').read_bytes()[:50])
    (here/'broken'/'a').mkdir(parents=True)
    (here/'broken'/'a'/'x.png').write_text('not a picture')
    (here/'unfinished').mkdir()
    (here/'unfinished'/'checkpoint.pt').write_text('of a run that goes on')
    small = CVAE(CVAEConfig(z_dim=2, encoder_layers=(4,), classifier_layers=(4,), decoder_layers=(4,)))
    for name in ('finished', 'newer', 'truncated', 'other_shape', 'not_json', 'nameless'): small.save_pretrained(here/name)
    small.save_pretrained(here/'empty_name', {'data': {'name': ''}})
    small.save_pretrained(here/'odd_name', {'data': ['mnist']})
    small.save_pretrained(here/'oddly_inverted', {'data': {'name': 'mnist', 'inverted': 'yes'}})
    for name in ('letters', 'half_a_judge', 'a_judge'): Judge(JudgeConfig(tuple('abcdefghij'))).save_pretrained(here/name)
    (here/'half_a_judge'/'model.safetensors').unlink()
    config = json.loads((here/'newer'/'config.json').read_text())
    (here/'newer'/'config.json').write_text(json.dumps(config | {'format': 99}))
    for name,value in (('history.json', '{}'), ('samples.png', ''), ('losses.png', '')): (here/'finished'/name).write_text(value)
    small.save_pretrained(here/'best_of_all')
    nan = load_file(here/'best_of_all'/'model.safetensors')
    nan['decoder.0.bias'][0] = float('nan')
    save_file(nan, here/'best_of_all'/'model.safetensors')
    (here/'link_to_a_run.png').symlink_to(here/'finished'/'samples.png')
    (here/'link_to_a_run.json').symlink_to(here/'finished'/'config.json')
    (here/'link_to_nowhere.png').symlink_to(here/'no'/'such'/'folder.png')
    (here/'other_shape'/'config.json').write_text(json.dumps(config | {'model': config['model'] | {'z_dim': 3}}))
    (here/'not_json'/'config.json').write_text('{')
    weights = here/'truncated'/'model.safetensors'
    weights.write_bytes(weights.read_bytes()[:-10])
    return here

def contents(folder): return {o: o.read_bytes() for o in folder.rglob('*') if o.is_file()}

@pytest.mark.parametrize('command,words', [(name, words) for name,all_words in commands.items() for words in all_words])
def test_commands(command, words, folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    before = contents(folder)
    with pytest.raises(SystemExit) as stopped: cli.run_command(getattr(cli, command), [o.strip("'") for o in words.split()])
    printed = capsys.readouterr()
    assert stopped.value.code == 2 and printed.out == ''
    assert printed.err.startswith(f'{command}: ') and printed.err.count('\n') == 1, printed.err
    assert contents(folder) == before

def test_a_loss_that_stops_being_finite(images, tmp_path):
    config = TrainConfig(epochs=3, learning_rate=1e5)
    with pytest.raises(ValueError, match=r'not finite (at|after) epoch'):
        fit(CVAE(CVAEConfig(activation='relu')), images, images[:100], config, run_dir=tmp_path/'run', device='cpu', progress=False, checkpoint_seconds=0)
    path = tmp_path/'run'/'checkpoint.pt'
    assert list((tmp_path/'run').iterdir()) == [path]
    trainer = Trainer(CVAE(CVAEConfig(activation='relu')), images, images[:100], config)
    restore(trainer, read_checkpoint(path), describe(trainer), str(path)) # the last good one
    assert all(o.isfinite().all() for o in trainer.model.parameters())

# --- what a shell does with a command

def start(*words, cwd, **more):
    "A command, in a process of its own."
    env = os.environ | {'OMP_NUM_THREADS': '1'} | more.pop('env', {})
    pipes = {'stdout': subprocess.PIPE, 'stderr': subprocess.PIPE} | more
    return subprocess.Popen([sys.executable, '-m', 'cvae_nbdev', *map(str, words)], cwd=cwd, text=True, env=env, **pipes)

def finish(process):
    "Exit code, stdout and stderr."
    out,err = process.communicate(timeout=120)
    return process.returncode, out, err

def test_a_reader_who_leaves(folder):
    process = start('cvae_infer', 'post', *['clean.png']*2000, cwd=folder)
    assert json.loads(process.stdout.readline())['name']
    process.stdout.close()
    assert process.stderr.read() == '' and process.wait(60) == 0

@pytest.mark.parametrize('words', [('cvae_infer', 'post', 'clean.png'), ('cvae_train', '--help'), ('cvae_sample', '--version')])
def test_a_full_disk_behind_stdout(words, folder):
    with open('/dev/full', 'w') as full: code,_,err = finish(start(*words, cwd=folder, stdout=full))
    assert code == 2 and err.count('\n') == 1 and 'No space left' in err

@pytest.mark.parametrize('moment', [0.05, 0.3, 0.6])
def test_ctrl_c_while_starting(moment, folder):
    code = ('import os,signal,sys,threading; from cvae_nbdev.__main__ import cvae_sample; sys.argv = ["cvae_sample", "post", "--n", "9000"]; '
            f'threading.Timer({moment}, os.kill, (os.getpid(), signal.SIGINT)).start(); cvae_sample()')
    done = subprocess.run([sys.executable, '-c', code], cwd=folder, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (130, '', 'cvae_sample: interrupted\n')

def test_names_that_stdout_cannot_encode(folder):
    words = 'cvae_sample', 'post', '--n', '41', '--digits', '1', '--out', 'größe.png'
    code,out,err = finish(start(*words, cwd=folder, env={'PYTHONIOENCODING': 'ascii'}))
    assert (code, err) == (0, '') and out.startswith('gr\\xf6\\xdfe.png shows 40')
    (folder/'größe.png').unlink()

def test_home(folder, tmp_path):
    shutil.copytree(folder/'finished', tmp_path/'mine')
    shutil.copyfile(folder/'seven.png', tmp_path/'seven.png')
    for words in (('cvae_sample', '~/mine', '--out=~/s.npz'), ('cvae_infer', '~/mine', '~/seven.png')):
        assert finish(start(*words, cwd=folder, env={'HOME': str(tmp_path)}))[0] == 0
    assert (tmp_path/'s.npz').exists()

def test_links_are_followed_and_pipes_written_to(tmp_path):
    (tmp_path/'target.npz').write_text('old')
    (tmp_path/'link.npz').symlink_to('target.npz')
    cli.cvae_sample('post', '3', out=str(tmp_path/'link.npz'))
    assert (tmp_path/'link.npz').is_symlink() and np.load(tmp_path/'target.npz')['labels'] == [3]
    os.mkfifo(tmp_path/'pipe.npz')
    read = []
    reader = threading.Thread(target=lambda: read.append((tmp_path/'pipe.npz').read_bytes()))
    reader.start()
    cli.cvae_sample('post', '3', out=str(tmp_path/'pipe.npz'))
    reader.join(60)
    assert read == [(tmp_path/'target.npz').read_bytes()] and (tmp_path/'pipe.npz').is_fifo()

def test_a_run_hides_a_bundled_model_of_its_name(small_model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    small_model.save_pretrained('best')
    cli.cvae_sample('best', out='s.npz')
    assert np.load('s.npz')['images'].shape == (3, 4, 5)

@pytest.mark.parametrize('digits,labels', [('10', [3]), ('1,0', [0, 1]), ('01', [1, 0]), ('a,b', [2]), ('ten', [4]), ('ten,a,b', None), ('10,ten', [3, 4])])
def test_digits_by_any_name(digits, labels, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    CVAE(CVAEConfig(num_classes=5, class_names=('1', '0', 'a,b', '10', 'ten'))).save_pretrained('m')
    if labels is None:
        with pytest.raises(ValueError, match="'a' is no class here"): cli.cvae_sample('m', digits, out='s.npz')
    else:
        cli.cvae_sample('m', digits, out='s.npz')
        assert np.load('s.npz')['labels'].tolist() == labels

def test_doubtful_pictures_get_a_notice(images, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for i in range(20): Image.fromarray(255 - images.images[i].numpy()).save(f'{i}.png')
    names = [f'{i}.png' for i in range(20)]
    for invert in (True, False):
        cli.cvae_infer('best', names, invert=invert)
        printed = capsys.readouterr()
        answers = [json.loads(o) for o in printed.out.splitlines()]
        noted = [o for o in answers if o['notice']]
        assert len(noted) == printed.err.count('\n') == (0 if invert else 20)
        assert all(o['name'] == str(o['label']) for o in answers)

def test_what_is_not_finite_is_not_printed(tmp_path, monkeypatch, capsys, folder):
    model = CVAE(CVAEConfig(z_dim=2, encoder_layers=(4,), classifier_layers=(4,), decoder_layers=(4,)))
    with torch.no_grad(): model.encoder_log_var.bias += 1000.
    model.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match='seven.png: the model reads numbers from it that are not finite'):
        cli.cvae_infer(str(tmp_path), [str(folder/'seven.png')])
    assert capsys.readouterr().out == ''

def test_words_may_be_mixed_with_options(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    cli.run_command(cli.cvae_infer, ['post', 'seven.png', '--device=cpu', 'seven.png'])
    assert capsys.readouterr().out.count('\n') == 2

# --- two at once, and those that nobody foresaw

def train(folder, **more):
    words = 'cvae_train', '--out', 'runs/x', '--checkpoint_seconds', '0', '--z_dim', '2'
    return start(*words, cwd=folder, **more)

def wait_for_checkpoint(process, folder):
    path = folder/'runs'/'x'/'checkpoint.pt'
    while not path.exists():
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.01)
    return path

@pytest.mark.parametrize('signum', [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_signals_stop_a_run_between_two_steps(signum, tmp_path):
    process = train(tmp_path)
    wait_for_checkpoint(process, tmp_path)
    process.send_signal(signum)
    code,out,err = finish(process)
    assert code == 128 + signum and out == '' and 'cvae_train: interrupted after' in err

def test_an_ignored_interrupt_stays_ignored(tmp_path):
    process = train(tmp_path, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN))
    checkpoint = wait_for_checkpoint(process, tmp_path)
    process.send_signal(signal.SIGINT)
    before = checkpoint.stat().st_mtime_ns
    while checkpoint.stat().st_mtime_ns < before + 10**8: # goes on
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    assert finish(process)[0] == 128 + signal.SIGTERM

def test_two_commands_with_one_folder(tmp_path):
    first = train(tmp_path)
    checkpoint = wait_for_checkpoint(first, tmp_path)
    second = train(tmp_path)
    printed,complaint = second.communicate(timeout=60)
    assert second.returncode == 2 and printed == '' and complaint.count('\n') == 1 and 'another process' in complaint
    assert first.poll() is None
    first.send_signal(signal.SIGTERM)
    assert 'interrupted after' in first.communicate(timeout=60)[1] and first.returncode == 128 + signal.SIGTERM
    assert [o.name for o in checkpoint.parent.iterdir()] == ['checkpoint.pt']
    assert read_checkpoint(checkpoint)['step'] > 0

@pytest.mark.parametrize('debug', [False, True])
def test_an_error_that_nobody_foresaw(debug, capsys):
    def stumble(): raise KeyError('images')
    with pytest.raises(SystemExit) as stopped: cli.run_command(stumble, ['--debug'] if debug else [])
    lines = capsys.readouterr().err.splitlines()
    assert stopped.value.code == 2 and lines[-1] == "stumble: KeyError: 'images' (--debug shows where)"
    assert len(lines) == 1 if not debug else 'in stumble' in '\n'.join(lines)
