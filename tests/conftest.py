"What the tests share: a small set of images, a small model, a model saved on disk, and a browser."
import os,signal

# Where the tests run in the background, these may be ignored, and their children would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
os.environ.setdefault('OMP_NUM_THREADS', '1') # two tests run at a time; before torch is imported

import pytest

from cvae_nbdev import CVAE,CVAEConfig,load_images
from in_browser import find_chromium,open_browser

@pytest.fixture(scope='session')
def images(): return load_images('mnist', 'test')[:600]

@pytest.fixture
def small_model(): return CVAE(CVAEConfig(image_shape=(4, 5), num_classes=3, z_dim=2, encoder_layers=(6,), classifier_layers=(6,), decoder_layers=(6,)))

@pytest.fixture
def saved_model(small_model, tmp_path):
    small_model.save_pretrained(tmp_path/'model')
    return tmp_path/'model'

@pytest.fixture(scope='session')
def browser():
    if not find_chromium(): pytest.skip('no Chromium is installed')
    with open_browser() as o: yield o
