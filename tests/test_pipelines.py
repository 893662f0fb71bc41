"scikit-learn's own checks of the estimator; what works without scikit-learn and ONNX; the files that other programs read."
import json,subprocess,sys

import numpy as np
import pytest
import torch

from cvae_nbdev import CVAE,CVAEConfig,FlowCVAE,Recipe,TrainConfig
from cvae_nbdev.better import FlowConfig,FlowTrainConfig,FlowTrainer
from cvae_nbdev.pipelines import CVAEClassifier,export_onnx,exported
from cvae_nbdev.sampling import random_styles

checks = pytest.importorskip('sklearn.utils.estimator_checks')

small = dict(z_dim=3, encoder_layers=(16,), decoder_layers=(16,))
fast = dict(epochs=30, batch_size=30, learning_rate=0.02)
post = Recipe(config=CVAEConfig(classifier_layers=(16,), **small), training=TrainConfig(**fast))
best = Recipe(FlowCVAE, FlowConfig(classifier_layers=(8,), couplings=2, coupling_width=8, **small), FlowTrainer, FlowTrainConfig(**fast))

def expected_to_fail(estimator): # the name of a check: the reason
    return {'check_classifiers_classes': 'has a class called -1; here that is a label that is unknown, as in sklearn.semi_supervised'}

@checks.parametrize_with_checks([CVAEClassifier(post, fast['epochs'])], expected_failed_checks=expected_to_fail)
def test_scikit_learns_checks(estimator, check): check(estimator)

@pytest.mark.slow
@checks.parametrize_with_checks([CVAEClassifier(best, fast['epochs'])], expected_failed_checks=expected_to_fail)
def test_scikit_learns_checks_of_the_better_model(estimator, check): check(estimator)

def test_two_classes_with_other_names_than_the_check_that_fails(images):
    X,y = images.images[:60].numpy(), np.where(images.labels[:60] < 5, -2, 1)
    assert CVAEClassifier(post, 2).fit(X, y).classes_.tolist() == [-2, 1]

def test_a_set_without_scikit_learn_and_onnx(images, saved_model):
    code = f'''
import sys
for name in ('sklearn', 'onnx', 'onnxscript', 'onnxruntime'): sys.modules[name] = None
import numpy as np
from cvae_nbdev import CVAE
from cvae_nbdev.pipelines import CVAEClassifier,export_onnx
X,y = np.arange(40.).reshape(10, 4), list('ab')*5
estimator = CVAEClassifier('post', epochs=1)
try: estimator.predict(X)
except ValueError as e: print(e)
print(estimator.fit(X, y).predict(X).shape, estimator.sample(2)[0].shape)
try: export_onnx(CVAE.from_pretrained({str(saved_model)!r}), 'nowhere')
except ImportError as e: print(e)
'''
    said = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert said.stdout.splitlines() == ['the estimator is not fitted yet; call fit', '(10,) (2, 4)',
                                        'export_onnx needs onnx and onnxscript; pip install onnx onnxscript'], said.stderr

def odd(): return FlowCVAE(FlowConfig(image_shape=(7, 5), num_classes=3, class_names=('eins', 'zwei', 'drei'), couplings=3))

@pytest.mark.parametrize('make', [lambda: CVAE.from_pretrained('post'), lambda: CVAE.from_pretrained('best'), odd], ids=['post', 'best', 'odd'])
def test_other_programs_read_and_draw_the_same(make, tmp_path):
    onnxruntime = pytest.importorskip('onnxruntime')
    model = make()
    before = {name: o.clone() for name,o in model.state_dict().items()}
    export_onnx(model.double(), tmp_path/'a'/'b') # whatever type the model has
    assert sorted(o.name for o in (tmp_path/'a'/'b').iterdir()) == ['draw.onnx', 'read.onnx']
    assert model.dtype == torch.float64 and all(torch.equal(o.float(), before[name].float()) for name,o in model.state_dict().items())
    model,programs = model.float().eval(), exported(model)
    reader,drawer = (onnxruntime.InferenceSession(tmp_path/'a'/'b'/f'{o}.onnx') for o in ('read', 'draw'))
    for session in (reader, drawer):
        assert json.loads(session.get_modelmeta().custom_metadata_map['class_names']) == list(model.config.class_names)
    for n in (1, 2, 7): # images at a time
        image,style = torch.rand(n, *model.config.image_shape), random_styles(model, n)
        probs = torch.rand(n, model.config.num_classes).softmax(-1)
        with torch.no_grad(): expected = model.read(image), model.draw(style, probs)
        found = *reader.run(None, {'image': image.numpy()}), *drawer.run(None, {'style': style.numpy(), 'probs': probs.numpy()})
        also = *programs['read'].module()(image), programs['draw'].module()(style, probs)
        for o,a,e in zip(found, also, (expected[0].probs, expected[0].style, expected[1]), strict=True):
            assert torch.equal(a, e)
            np.testing.assert_allclose(o, e.numpy(), atol=2e-5)

def test_what_was_there_stays_if_writing_fails(small_model, tmp_path, monkeypatch):
    pytest.importorskip('onnxscript')
    export_onnx(small_model, tmp_path)
    before = {o.name: o.read_bytes() for o in tmp_path.iterdir()}
    def full(self, path): raise OSError(28, 'No space left on device')
    monkeypatch.setattr(torch.onnx.ONNXProgram, 'save', full)
    with pytest.raises(OSError, match='No space left'): export_onnx(small_model, tmp_path)
    assert {o.name: o.read_bytes() for o in tmp_path.iterdir()} == before
