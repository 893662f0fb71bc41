"""How fast is training on a million images, and what do they take in memory?

Makes 1,000,000 images of 28x28 as one array, and 20,000 as picture files, in a temporary folder (1 GB), and trains the
reference model on each for an epoch, from memory and from disk, in processes of their own, one after another. Prints
images a second of the steps of training, the seconds that all else takes, and what a process takes in memory beyond what
it took after training on a few images, when torch had loaded all that it loads:

- anonymous: memory that is the process's own, at its peak; this is what must fit;
- file: pages of mapped files, at the same moment; the system may drop them whenever somebody needs the room;
- peak: the largest sum of both that the system has seen (VmHWM);
- workers: what processes that read ahead have for themselves.

    python benchmarks/streaming.py
"""
import argparse,json,os,re,subprocess,sys,tempfile,threading,time
from pathlib import Path

ways = { # name: (folder, keep_in, workers)
    'array in memory':     ('array', 'memory', None),
    'array on disk':       ('array', 'disk', None),
    'pictures in memory':  ('pictures', 'memory', None),
    'pictures on disk':    ('pictures', 'disk', 0),
    'pictures on disk by 1 worker':  ('pictures', 'disk', 1),
    'pictures on disk by 2 workers': ('pictures', 'disk', 2),
}

def memory(pid='self'):
    "Megabytes of a process by kind, as Linux counts them."
    found = dict(re.findall(r'^(\w+):\s+(\d+) kB', Path(f'/proc/{pid}/status').read_text(), re.MULTILINE))
    return {name: int(found[key])/1000 for name,key in (('anonymous', 'RssAnon'), ('file', 'RssFile'), ('peak', 'VmHWM'))}

def private(pid):
    "Megabytes that a process shares with no other."
    try: text = Path(f'/proc/{pid}/smaps_rollup').read_text()
    except OSError: return 0
    return sum(map(int, re.findall(r'^Private_\w+:\s+(\d+) kB', text, re.MULTILINE)))/1000

class Watch(threading.Thread):
    "Keeps the largest values seen."
    def __init__(self):
        super().__init__(daemon=True)
        self.at_peak,self.workers,self.ended = memory(), 0, threading.Event()
    def run(self):
        import multiprocessing
        while not self.ended.wait(0.05):
            now = memory()
            if now['anonymous'] > self.at_peak['anonymous']: self.at_peak = now
            self.workers = max(self.workers, sum(private(o.pid) for o in multiprocessing.active_children()))

def write_data(folder, images, pictures):
    "MNIST over and over, each time moved by some pixels, as an array; and some of it as picture files."
    import numpy as np
    from PIL import Image
    from cvae_nbdev import load_images
    mnist = load_images('mnist', 'train')
    (folder/'array').mkdir()
    array = np.lib.format.open_memmap(folder/'array'/'images.npy', 'w+', np.uint8, (images, *mnist.image_shape))
    labels = np.empty(images, np.int64)
    for i in range(0, images, len(mnist)):
        n = min(len(mnist), images - i)
        array[i:i+n] = mnist.images[:n].roll(i//len(mnist), dims=2)
        labels[i:i+n] = mnist.labels[:n]
    array.flush()
    np.save(folder/'array'/'labels.npy', labels)
    (folder/'array'/'classes.json').write_text(json.dumps(mnist.class_names))
    for i in range(pictures):
        path = folder/'pictures'/mnist.class_names[labels[i]]/f'{i:05}.png'
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(array[i]).save(path)

def measure(folder, keep_in, workers, steps):
    "Train for some steps, or for an epoch, and measure the losses as at its end."
    from functools import partial
    from cvae_nbdev import CVAE,load_images
    from cvae_nbdev.runs import fingerprint
    from cvae_nbdev.sources import read_picture
    from cvae_nbdev.streaming import keep,open_arrays,open_pictures
    from cvae_nbdev.training import Trainer
    few = load_images('mnist', 'valid')[:2000]
    warm_up = Trainer(CVAE(), few, few, device='cpu')
    for _ in warm_up.steps(): pass
    warm_up.end_epoch()
    before,watch = memory(), Watch()
    watch.start()
    row = {}
    def timed(name, f):
        started = time.perf_counter()
        result = f()
        row[name] = time.perf_counter() - started
        return result
    def load():
        is_array = (Path(folder)/'images.npy').exists()
        found = open_arrays(folder) if is_array else open_pictures(folder, (28, 28), partial(read_picture, image_shape=(28, 28)))
        if workers is not None: found.workers = workers
        return keep(found, keep_in)
    data = timed('seconds to load', load)
    timed('to take the fingerprint', lambda: fingerprint(data))
    trainer = Trainer(CVAE(), data, few, device='cpu')
    run = trainer.steps()
    timed('to the first step', lambda: next(run)) # the order and the noise of an epoch are drawn, and workers started
    started = time.perf_counter()
    for done in run:
        if done == steps: break
    images_a_second = (done - 1)*trainer.config.batch_size/(time.perf_counter() - started)
    run.close()
    timed('to measure the losses', trainer.end_epoch)
    watch.ended.set()
    watch.join()
    row = {'images': len(data), 'steps': done, 'images a second': images_a_second, **row}
    row |= {f'MB {name}': watch.at_peak[name] - before[name] for name in ('anonymous', 'file')}
    row |= {'MB peak': memory()['peak'] - before['peak'], 'MB of workers': watch.workers, 'MB before': before['anonymous'] + before['file']}
    print(json.dumps(row))

def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name,value in (('images', 1_000_000), ('pictures', 20_000)): parser.add_argument(f'--{name}', type=int, default=value)
    parser.add_argument('--steps', type=int, default=0, help='at most so many; default: an epoch')
    parser.add_argument('--ways', default=','.join(ways), help='which, with commas between (default: all)')
    parser.add_argument('--json', help='write the rows to this file, too')
    options,rows = parser.parse_args(), {}
    with tempfile.TemporaryDirectory() as d:
        write_data(Path(d), options.images, options.pictures)
        for name in options.ways.split(','):
            folder,keep_in,workers = ways[name]
            arguments = json.dumps([os.path.join(d, folder), keep_in, workers, options.steps])
            found = subprocess.run([sys.executable, __file__, '--measure', arguments], stdout=subprocess.PIPE, text=True, check=True)
            rows[name] = row = json.loads(found.stdout)
            print(f'{name}: ' + ', '.join(f'{key} {o:,.0f}' if o >= 20 else f'{key} {o:.2g}' for key,o in row.items()), flush=True)
    if options.json: Path(options.json).write_text(json.dumps(rows))

if __name__ == '__main__':
    if sys.argv[1:2] == ['--measure']: measure(*json.loads(sys.argv[2]))
    else: main()
