"Images whose label is unknown: in the loss and its measures, in training, in folders and in commands."
import json
from dataclasses import replace

import pytest
import torch
from PIL import Image

from cvae_nbdev import CVAE,FlowCVAE,ImageSet,TrainConfig,Trainer,cli,fit,infer,load_images,load_run
from cvae_nbdev.better import FlowConfig,FlowTrainConfig,FlowTrainer
from cvae_nbdev.few_labels import complete_labels,hide_labels
from cvae_nbdev.files import load_tensors
from cvae_nbdev.judge import train_judge
from cvae_nbdev.losses import class_nll,cvae_loss
from cvae_nbdev.runs import RunFolder

test = load_images('mnist', 'test')
images = test[:400]
few = hide_labels(images, 5)
sizes = {'z_dim': 2, 'encoder_layers': (4,), 'classifier_layers': (4,), 'decoder_layers': (4,)}

def test_an_image_without_a_label_counts_in_the_vae_loss_alone():
    model,x,noise = CVAE(), few.images/255, torch.zeros(400, 10)
    output,known = model(x, noise), few.has_label
    loss,with_all = cvae_loss(output, x, few.labels, 10.), cvae_loss(output, x, images.labels, 10.)
    assert loss.vae_loss == with_all.vae_loss
    expected = 10*class_nll(output.class_logits[known], few.labels[known]).mean()
    torch.testing.assert_close(loss.digit_loss, expected)
    nothing = cvae_loss(output, x, few.labels*0 - 1, 10.)
    assert nothing.digit_loss == 0 and nothing.total == loss.vae_loss
    nothing.total.backward() # and no NaN
    assert all(o.grad.isfinite().all() for o in model.parameters())

def test_measures_are_over_the_labelled():
    trainer = Trainer(CVAE(), few, few, TrainConfig(batch_size=100))
    measured,alone = trainer.measure(few, batch_size=7), Trainer(CVAE(), few, few.labelled).measure(few.labelled)
    assert measured['digit_loss'] == pytest.approx(alone['digit_loss'], rel=1e-4)
    right = (infer(trainer.model, few.labelled).labels == few.labelled.labels).float().mean()
    assert trainer.accuracy(few) == trainer.accuracy(few.labelled) == pytest.approx(right.item())

def test_training_and_resuming(tmp_path):
    def run(epochs, **more): return fit(CVAE(), few, few, TrainConfig(epochs=epochs), progress=False, device='cpu', **more)
    whole = run(2)
    run(1, run_dir=tmp_path/'run')
    resumed = run(2, run_dir=tmp_path/'run', resume=True)
    assert resumed.history.vae_loss == whole.history.vae_loss and len(whole.history) == 2

def test_who_needs_labels_says_so():
    none = replace(few, labels=few.labels*0 - 1)
    for train,valid in ((none, few), (few, none)):
        with pytest.raises(ValueError, match='no image has a label'): Trainer(CVAE(), train, valid)
    with pytest.raises(ValueError, match='350 images have no label, and FlowTrainer needs them all'):
        FlowTrainer(FlowCVAE(), few, images)
    with pytest.raises(ValueError, match='no image has a label'): train_judge(none)
    with pytest.raises(ValueError, match='range from -2'): ImageSet(few.images, few.labels*2, few.class_names)

def test_guesses_are_better_than_chance_and_repeatable():
    complete = complete_labels(few)
    assert (complete.labels == images.labels).float().mean() > 0.5
    assert torch.equal(complete.labels, complete_labels(few).labels)

@pytest.fixture
def folder(tmp_path, monkeypatch):
    "Pictures in the folders of two classes, and more whose class nobody has written down."
    monkeypatch.chdir(tmp_path)
    some = test[(test.labels < 2) & (torch.arange(len(test)) < 1500)]
    for i,(image,label) in enumerate(zip(some.images, some.labels.tolist())):
        home = tmp_path/'pictures'/(str(label) if i < 120 else 'unlabelled')
        home.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.numpy()).save(home/f'{i}.png')
    return tmp_path

def command(func, words): cli.run_command(func, words.split())

def test_a_folder_with_unlabelled_pictures(folder, capsys):
    small = '--encoder_layers 8 --classifier_layers 8 --decoder_layers 8 --batch_size 50 --epochs'
    command(cli.cvae_train, f'--data pictures {small} 1')
    assert 'training images have no label; --preset best guesses them' in capsys.readouterr().err
    best = f'--preset best --data pictures {small} 2 --couplings 2 --coupling_width 8'
    command(cli.cvae_train, best)
    assert 'guessing them first' in capsys.readouterr().out
    assert (folder/'runs'/'best'/'labels.safetensors').exists()
    model = load_run('runs/best').model
    assert model.config.class_names == ('0', '1')
    data = load_images('pictures', 'test')
    assert data.has_label.all() and (infer(model, data).labels == data.labels).float().mean() > 0.8
    command(cli.cvae_sample, 'runs/best')
    command(cli.cvae_infer, 'runs/best pictures/1/' + next((folder/'pictures'/'1').iterdir()).name)
    assert json.loads(capsys.readouterr().out.splitlines()[-1])['name'] in '01'

def test_a_resumed_run_takes_the_guesses_that_were_kept(folder, monkeypatch):
    words = '--preset best --data pictures --classifier_layers 8 --batch_size 50 --epochs 1'
    trained_on = []
    def stop(model, train, *more, **options):
        trained_on.append(train)
        raise ValueError('stopped')
    monkeypatch.setattr(cli, 'fit', stop)
    def stopped(words):
        with pytest.raises(SystemExit): command(cli.cvae_train, words)
    stopped(words)
    kept = load_tensors(folder/'runs'/'best'/'labels.safetensors')['labels']
    assert torch.equal(trained_on[0].labels, kept) and trained_on[0].has_label.all()
    with RunFolder('runs/best') as f: f.checkpoint.touch() # as of an interrupted run
    monkeypatch.setattr(cli, 'complete_labels', None)      # nobody guesses again
    stopped(words + ' --resume')
    assert torch.equal(trained_on[1].labels, kept)
