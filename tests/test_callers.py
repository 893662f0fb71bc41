"What callers do besides the usual: files of a run that were edited or mixed up, contexts and threads around every call, odd models, outputs that cannot be written."
import json,os,shutil,subprocess,sys,threading
from copy import deepcopy
from dataclasses import replace
from unittest import mock

import numpy as np
import pytest
import torch
from safetensors.torch import load_file,save_file
from torch import nn

from cvae_nbdev import (CVAE,CVAEConfig,FlowCVAE,ImageSet,Judge,Recipe,TrainConfig,Trainer,cli,explore,fit,generate,grid,infer,interpolate,load_images,load_run,
                        reconstruct,restyle,restyle_explorer,score,show_grid,sweep,traverse)
from cvae_nbdev import runs
from cvae_nbdev.better import FlowConfig,FlowTrainConfig,FlowTrainer
from cvae_nbdev.core import figure_png
from cvae_nbdev.files import check_out
from cvae_nbdev.scores import doubts,usual
from cvae_nbdev.sources import save_arrays

pytestmark = pytest.mark.filterwarnings('error')
few = load_images('mnist', 'test')[:200]
sizes = {'z_dim': 2, 'encoder_layers': (4,), 'classifier_layers': (4,), 'decoder_layers': (4,)}
brief = TrainConfig(epochs=1, batch_size=20)
tiny,flow = CVAE(CVAEConfig(**sizes)), FlowCVAE(FlowConfig(**sizes | {'couplings': 2, 'coupling_width': 8}))

def small_fit(model=tiny, epochs=1, data=few, **more):
    return fit(deepcopy(model), data, data, replace(brief, epochs=epochs), device='cpu', progress=False, **more)

def go_on(folder, **more): return small_fit(epochs=2, run_dir=folder, resume=True, **more)

@pytest.fixture(scope='module')
def a_finished_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp('runs')/'run'
    small_fit(run_dir=folder)
    return folder

@pytest.fixture
def a_run(a_finished_run, tmp_path): return shutil.copytree(a_finished_run, tmp_path/'run')

def edit_json(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))

def same(a, b): return all(torch.equal(x, y) for x,y in zip(a.model.state_dict().values(), b.model.state_dict().values()))

# --- a run whose files were edited, mixed up, or are missing

edits = {
    'epochs a text': lambda c: c['train'].update(epochs='1'), 'epochs a float': lambda c: c['train'].update(epochs=1.), 'epochs true': lambda c: c['train'].update(epochs=True),
    'no epochs': lambda c: c['train'].update(epochs=0), 'more epochs': lambda c: c['train'].update(epochs=2), 'billions': lambda c: c['train'].update(epochs=10**9),
    'another rate': lambda c: c['train'].update(learning_rate=0.5), 'train a list': lambda c: c.update(train=[]), 'train a text': lambda c: c.update(train='x'),
    'no train': lambda c: c.pop('train'), 'no data': lambda c: c.pop('data'), 'other data': lambda c: c['data'].update(train='0'), 'no machine': lambda c: c.pop('machine'),
    'machine a list': lambda c: c.update(machine=[1]), 'no classes': lambda c: c.pop('classes'), 'no model': lambda c: c.update(model=None),
    'another z_dim': lambda c: c['model'].update(z_dim=3), 'a huge model': lambda c: c['model'].update(encoder_layers=[10**6]*1000), 'nan': lambda c: c['model'].update(decoder_std=float('nan')),
    'a million classes': lambda c: c['model'].update(num_classes=10**6, class_names=[]), 'names alike': lambda c: c['model'].update(class_names=['$']*10),
    'another checksum': lambda c: c.update(sha256='0'), 'no checksum': lambda c: c.pop('sha256'), 'format 99': lambda c: c.update(format=99), 'format true': lambda c: c.update(format=True),
}
only_resumed = {'epochs a float', 'epochs true', 'another rate', 'no train', 'no data', 'other data', 'no machine', 'no classes'} # what a loaded model does not need

@pytest.mark.parametrize('edit', edits)
def test_an_edited_config(edit, a_run):
    edit_json(a_run/'config.json', edits[edit])
    before = {o.name: o.read_bytes() for o in a_run.iterdir()}
    with pytest.raises((ValueError, OSError)) as e: go_on(a_run)
    assert str(a_run) in str(e.value) and len(str(e.value)) < 400
    if edit not in only_resumed:
        with pytest.raises(ValueError, match='config.json|history.json|model.safetensors'): load_run(a_run)
    try: result = sweep({'run': Recipe(config=tiny.config, training=replace(brief, epochs=2))}, few, few, a_run.parent, 'cpu', resume=True, progress=False)
    except (ValueError, OSError): pass
    else: assert result.errors
    assert {o.name: o.read_bytes() for o in a_run.iterdir()} == before

@pytest.mark.parametrize('value', [[1], {}, None, 'Judge', 'Nobody'], ids=str)
def test_a_class_that_is_none(value, a_run):
    edit_json(a_run/'config.json', lambda c: c.update({'class': value}))
    with pytest.raises(ValueError, match='config.json: (class )?is'): CVAE.from_pretrained(a_run)

@pytest.mark.parametrize('change', [lambda h: h['kl'].__setitem__(0, float('nan')), lambda h: h['kl'].__setitem__(0, float('inf')), lambda h: h['kl'].__setitem__(0, 10**400),
    lambda h: h['kl'].__setitem__(0, True), lambda h: h['kl'].__setitem__(0, '1'), lambda h: h.update(kl=[]), lambda h: h.update(kl=None), lambda h: h.pop('kl'), lambda h: h.update(x=[1.]),
    lambda h: [o.clear() for o in h.values()], lambda h: [o.append(1.) for o in h.values()]])
def test_an_edited_history(change, a_run):
    edit_json(a_run/'history.json', change)
    for use in (go_on, load_run):
        with pytest.raises(ValueError, match='history.json'): use(a_run)

tensor_edits = {
    'nan': lambda t: t['0.exp_avg'].fill_(torch.nan), 'another shape': lambda t: t.update({'0.exp_avg': torch.zeros(5)}), 'a long step': lambda t: t.update({'0.step': torch.zeros(5)}),
    'no squares': lambda t: t.pop('0.exp_avg_sq'), 'no step': lambda t: t.pop('0.step'), 'a parameter less': lambda t: [t.pop(o) for o in list(t) if o[0] == '3'],
    'nothing': lambda t: t.clear(), 'one too many': lambda t: t.update({'99.exp_avg': torch.zeros(2)}), 'no name': lambda t: t.update(x=torch.zeros(2)),
    'an odd number': lambda t: t.update({'²3.exp_avg': torch.zeros(2)}), 'negative': lambda t: t['0.exp_avg_sq'].fill_(-1.),
}

@pytest.mark.parametrize('edit', tensor_edits)
@pytest.mark.parametrize('signed', [False, True]) # by whoever has edited it
def test_an_edited_optimizer(edit, signed, a_run):
    path = a_run/'optimizer.safetensors'
    tensors = load_file(path)
    tensor_edits[edit](tensors)
    save_file(tensors, path)
    if signed:
        if edit in ('nothing', 'a parameter less', 'negative'): return # may be; a loss that is not finite stops the run
        edit_json(a_run/'config.json', lambda c: c.pop('files'))
    with pytest.raises(ValueError, match='optimizer|memory'): go_on(a_run)

@pytest.mark.parametrize('samples', [{}, {'samples': torch.zeros(3)}, {'x': torch.zeros(2)}, {'samples': torch.zeros(1, 10, 28, 28).long()}, {'samples': torch.full((1, 10, 28, 28), torch.nan)}])
def test_edited_samples(samples, a_run):
    save_file(samples, a_run/'samples.safetensors')
    for use in (go_on, load_run):
        with pytest.raises(ValueError, match='samples.safetensors'): use(a_run)

@pytest.mark.parametrize('name', ['model', 'optimizer', 'samples'])
def test_a_file_of_another_run(name, a_run, tmp_path):
    small_fit(CVAE(replace(tiny.config, init_seed=1)), run_dir=tmp_path/'other')
    shutil.copy(tmp_path/'other'/f'{name}.safetensors', a_run)
    with pytest.raises(ValueError, match=f'{name}.safetensors: does not belong to'): go_on(a_run)

@pytest.mark.parametrize('name', ['config.json', 'history.json', 'model.safetensors', 'samples.safetensors', 'optimizer.safetensors'])
def test_a_part_is_missing(name, a_run):
    (a_run/name).unlink()
    with pytest.raises(OSError, match=name if name != 'config.json' else 'holds no run'): go_on(a_run)

def test_a_checkpoint_with_weights_that_are_not_finite(a_run):
    trainer = Trainer(deepcopy(tiny), few, few, brief)
    description = runs.describe(trainer)
    state = deepcopy(runs.state_of(trainer, description))
    state['weights']['decoder.0.bias'][0] = torch.nan
    with pytest.raises(ValueError, match='here: decoder.0.bias has values that are not finite'): runs.restore(trainer, state, description, 'here')
    assert all(o.isfinite().all() for o in trainer.model.parameters())

def test_resumed_in_another_type(tmp_path):
    small_fit(deepcopy(tiny).bfloat16(), run_dir=tmp_path)
    with pytest.warns(UserWarning, match='not bit by bit'): run = go_on(tmp_path)
    assert run.model.dtype == load_run(tmp_path).model.dtype == torch.float32
    assert json.loads((tmp_path/'config.json').read_text())['machine']['dtype'] == 'torch.float32'

@pytest.mark.parametrize('where', ['plot_losses', 'plot_samples', 'write_json', 'save_tensors', 'sync_folder'])
def test_a_sweep_that_ends_while_it_writes_results(where, tmp_path):
    recipes = grid(Recipe(config=tiny.config, training=replace(brief, epochs=2)), z_dim=[2, 3])
    def results(resume): return sweep(recipes, few, few, tmp_path, 'cpu', resume=resume, progress=False)
    with mock.patch.object(runs, where, side_effect=KeyboardInterrupt), pytest.raises(KeyboardInterrupt): results(False)
    found,expected = results(True), sweep(recipes, few, few, device='cpu', progress=False)
    assert not found.errors
    for name,run in expected.runs.items(): assert len(found.runs[name].history) == 2 and same(found.runs[name], run)

# --- contexts, threads, types

calls = {
    'generate': lambda m: generate(m, n=2).images, 'infer': lambda m: infer(m, few).style, 'score': lambda m: score(m, few).bound, 'reconstruct': lambda m: reconstruct(m, few[:3]), 'restyle': lambda m: restyle(m, few[:3]),
    'interpolate': lambda m: interpolate(m, 1, 2), 'interpolate images': lambda m: interpolate(m, few.images[0], few.images[1]), 'traverse': lambda m: traverse(m, 1, 0),
    'explore': lambda m: explore(m).row.images, 'restyle_explorer': lambda m: restyle_explorer(m, few[:5]).row.images, 'make': lambda m: type(m)(m.config).decoder[0].weight.data,
    'fit': lambda m: fit(deepcopy(m), few, few, FlowTrainConfig(epochs=1, batch_size=20) if m is flow else brief, FlowTrainer if m is flow else Trainer, progress=False).samples,
}
contexts = {'no_grad': torch.no_grad, 'inference': torch.inference_mode, 'autocast': lambda: torch.autocast('cpu', dtype=torch.bfloat16), 'meta': lambda: torch.device('meta')}

@pytest.mark.parametrize('context', contexts)
@pytest.mark.parametrize('call', calls)
@pytest.mark.parametrize('model', [tiny, flow], ids=['tiny', 'flow'])
def test_contexts(call, context, model):
    expected = calls[call](model)
    with contexts[context]():
        if (call, context) == ('fit', 'inference'): # the copy of the model is made in it
            with pytest.raises(ValueError, match='made in inference mode'): calls[call](model)
        else: assert torch.equal(calls[call](model), expected)

def test_a_loop_by_hand_without_gradients():
    for context in (torch.no_grad, torch.inference_mode):
        trainer = Trainer(deepcopy(tiny), few, few, brief)
        with context(), pytest.raises(ValueError, match='gradients are switched off'): next(trainer.run())

@pytest.mark.parametrize('name,trainer', [('post', Trainer), ('best', FlowTrainer)])
def test_losses_in_half_precision_are_summed_in_float32(name, trainer):
    data = load_images('mnist', 'test')[:500]
    def measured(dtype): return trainer(CVAE.from_pretrained(name, dtype=dtype), data, data, trainer.config_class()).measure(data)
    whole,half = measured('float32'), measured('bfloat16')
    for term in ('vae_loss', 'reconstruction'): assert abs(half[term] - whole[term]) < 1e-3*abs(whole[term]), term
    assert abs(half['kl'] - whole['kl']) < 0.2

def test_reading_beside_a_training_changes_nothing():
    def trained(readers):
        model,stop = deepcopy(tiny), threading.Event()
        model.encoder.append(nn.BatchNorm1d(4))
        def read():
            while not stop.is_set(): generate(model), infer(model, few[:10])
        threads = [threading.Thread(target=read) for _ in range(readers)]
        for o in threads: o.start()
        run = fit(model.train(), few, few, replace(brief, epochs=3), device='cpu', progress=False)
        stop.set()
        for o in threads: o.join()
        assert model.training
        return run
    assert same(trained(0), trained(2))

def test_the_global_generator_is_left_alone():
    before = torch.get_rng_state()
    small_fit(), generate(tiny), infer(tiny, few), FlowCVAE(), Judge(), sweep({'a': Recipe(config=tiny.config, training=brief)}, few, few, progress=False)
    assert torch.equal(torch.get_rng_state(), before)

# --- odd models and odd names

def test_models_that_cannot_be_trained(tmp_path):
    normed = CVAE(encoder=nn.Sequential(nn.Linear(784, 4), nn.BatchNorm1d(4)))
    for model,data,trainer,complaint in ((normed, few[:21], Trainer, 'the last batch of an epoch has one image'),
                                         (deepcopy(tiny).requires_grad_(False), few, Trainer, 'all are frozen'), (deepcopy(tiny).half(), few, Trainer, 'float16, whose sums overflow')):
        with pytest.raises(ValueError, match=complaint): small_fit(model, data=data, trainer=trainer, run_dir=tmp_path/'run')
    assert not (tmp_path/'run').exists()
    small_fit(normed, data=few[:22])
    with pytest.raises(ValueError, match='gave no class_logits'): small_fit(flow, data=few, trainer=Trainer)

def test_a_class_a_pixel_a_style():
    c = CVAEConfig(image_shape=(1, 1), num_classes=1, z_dim=1, encoder_layers=(), classifier_layers=(), decoder_layers=())
    data = ImageSet(torch.arange(7, dtype=torch.uint8).view(7, 1, 1), [0]*7, c.class_names)
    run = fit(CVAE(c), data, data[:1], TrainConfig(epochs=2, batch_size=6, seed=np.int64(5)), progress=False)
    for o in (generate(run.model, seed=np.uint64(3)).images, reconstruct(run.model, data), restyle(run.model, data), interpolate(run.model, 0, 0), traverse(run.model, 0, 0)): assert o.isfinite().all()
    explore(run.model), restyle_explorer(run.model, data), figure_png(show_grid(data))

def test_odd_names(tmp_path):
    names = ['$', '\n', '"', '😀', '<b>', '|', '\\', '%', 'x'*5000, '$a_b^{']
    data,recipe = ImageSet(few.images, few.labels, names), Recipe(config=replace(tiny.config, class_names=tuple(names)), training=brief)
    with mock.patch('warnings.warn'): # of glyphs that the font lacks
        result = sweep({'run': recipe}, data, data, tmp_path, progress=False)
        figure_png(result.gallery())
        cli.cvae_sample(str(tmp_path/'run'), '$', out=str(tmp_path/'s.png'))
    assert not result.errors and generate(load_run(tmp_path/'run').model, ['😀', '%']).labels.tolist() == [3, 7]
    explore(result.runs['run'].model), restyle_explorer(result.runs['run'].model, data)

# --- what is written, and where

def test_saving_over_a_model_takes_both_files_or_none(tmp_path):
    tiny.save_pretrained(tmp_path)
    other = CVAE(replace(tiny.config, activation='relu', init_seed=1))
    bad = deepcopy(tiny)
    bad.decoder[0].bias.data[0] = torch.nan
    from cvae_nbdev import core
    for save in (lambda: bad.save_pretrained(tmp_path), lambda: other.save_pretrained(tmp_path, {'x': torch.nan}), lambda: other.save_pretrained(tmp_path, ['x']), lambda: other.save_pretrained(tmp_path, {'model': 1})):
        with pytest.raises(ValueError): save()
    with mock.patch.object(core, 'write_json', side_effect=OSError(28, 'No space left on device')), pytest.raises(OSError, match='model.safetensors'): other.save_pretrained(tmp_path)
    assert torch.equal(generate(CVAE.from_pretrained(tmp_path)).images, generate(tiny).images) and len(list(tmp_path.iterdir())) == 2

def test_a_loaded_model_does_not_change_with_its_file(tmp_path):
    tiny.save_pretrained(tmp_path)
    model = CVAE.from_pretrained(tmp_path)
    (tmp_path/'model.safetensors').write_bytes(b'')
    assert torch.equal(generate(model).images, generate(tiny).images)

@pytest.mark.parametrize('bad', [None, 3, '', 'x\0y', tiny], ids=str)
def test_names_of_folders(bad):
    recipes = {'a': Recipe(config=tiny.config, training=brief)}
    def swept(folder): sweep(recipes, few, few, folder, progress=False)
    for use in (tiny.save_pretrained, lambda o: save_arrays(o, few), *([swept] if bad is not None else [])):
        with pytest.raises(ValueError, match='is not the name of a file'): use(bad)

def test_arrays_are_dealt_by_their_content(tmp_path):
    save_arrays(tmp_path/'all', few)
    save_arrays(tmp_path/'fewer', few[::3])
    def rows(folder, split): return {o.numpy().tobytes() for o in load_images(tmp_path/folder, split).images}
    for split in ('train', 'valid', 'test'): assert rows('fewer', split) < rows('all', split)

@pytest.mark.parametrize('labels', [np.full(20, 10**9), np.full(20, -2), np.zeros(20), np.array(['a']*20), np.zeros(3, np.int64), np.zeros((20, 2), np.int64), np.array(3), np.full(20, 2**63, np.uint64)], ids=lambda o: f'{o.dtype}-{o.shape}')
def test_labels_of_arrays(labels, tmp_path):
    for name in ('train', 'test'):
        (tmp_path/name).mkdir()
        np.save(tmp_path/name/'images.npy', np.zeros((20, 4, 4), np.uint8))
        np.save(tmp_path/name/'labels.npy', labels)
    with pytest.raises(ValueError, match='train: '): load_images(tmp_path, 'train')

def test_outputs(tmp_path, monkeypatch, a_run):
    monkeypatch.chdir(tmp_path)
    os.symlink('loop.png', 'loop.png')
    with pytest.raises(OSError, match='loop.png: is a link that leads back to itself'): cli.cvae_sample('run', out='loop.png')
    for name in ('run/SAMPLES.png', 'run/Config.json'):
        with pytest.raises(FileExistsError, match='belongs to the model'): check_out(name, reserved=runs.result_files)
    long = 'x'*251 + '.png' # the longest name that there can be
    cli.cvae_sample('run', out=long)
    assert os.path.exists(long)

@pytest.mark.skipif(not os.path.exists('/dev/full'), reason='no such device')
def test_a_report_is_not_lost_with_its_file(tmp_path, monkeypatch, capsys):
    class Report:
        def as_dict(self): return {}
        def _repr_markdown_(self): return 'all measures'
    monkeypatch.setattr(cli, 'evaluate', lambda *args: Report())
    with pytest.raises(OSError, match='/dev/full'): cli.cvae_evaluate('post', '/dev/full')
    assert capsys.readouterr().out == 'all measures\n'

def test_settings_that_the_data_decide(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for words in (['--class_names', '0,1'], ['--class_names', '0,1', '--num_classes', '10']):
        with pytest.raises(SystemExit): cli.run_command(cli.cvae_train, words)
    assert not list(tmp_path.iterdir())

def test_a_command_has_nothing_to_warn_of(a_run):
    words = [sys.executable, '-W', 'error', '-m', 'cvae_nbdev', 'cvae_sample', a_run, '--out', a_run.parent/'s.png']
    done = subprocess.run(words, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, '', '')

@pytest.mark.skipif(os.name != 'posix', reason='needs a shell')
@pytest.mark.parametrize('where', ['2>&-', '2>/dev/full'])
def test_nobody_hears_a_complaint(where, tmp_path):
    done = subprocess.run(f'{sys.executable} -m cvae_nbdev cvae_infer post missing.png {where}', shell=True, capture_output=True, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, b'')

def test_a_run_knows_what_is_usual(tmp_path):
    "In memory as in its folder; a model that goes on learning finds it out again."
    model = fit(deepcopy(tiny), few, few, brief, run_dir=tmp_path/'run', progress=False).model
    saved,known = CVAE.from_pretrained(tmp_path/'run'), model.saved['scores']
    assert saved.saved['scores'] == known == usual(model, few)
    assert torch.equal(score(saved, few).quantile, score(model, few).quantile) and not score(model, few).quantile.isnan().any()
    again = fit(saved, few, few, brief, progress=False).model
    assert again.saved['scores'] == usual(again, few) != known
    bare = fit(deepcopy(tiny), few, few[:40], brief, progress=False).model # too few to tell
    assert score(bare, few).quantile.isnan().all() and not any(doubts(bare, score(bare, few)))
