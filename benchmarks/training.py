"""How fast is training, beside what it cannot do without, and beside others who train the same model?

    python benchmarks/training.py --out benchmarks/results.json   # about six minutes on two cores; all else should rest
    python benchmarks/training.py --quick                         # one epoch, and no losses
    python benchmarks/training.py --show benchmarks/results.json  # the table again, and the plot beside it

What is compared stands in paths.py; the peers are used where they are installed (benchmarks/requirements.txt). Each path
has a process of its own, which sleeps until it is its turn. A turn is a fifth of an epoch, and in each round every path
has one, in random order: a machine that is now fast and now slow is so for all of them. The ratios are taken within a
round. Quote those; seconds depend on the machine and on the day. The first turn, with imports and compilation, is apart.
"""
import argparse,inspect,json,lzma,os,platform,random,sys,time
from contextlib import contextmanager
from datetime import date
from functools import partial
from importlib import metadata
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path
from statistics import median,quantiles
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).parent))
import paths

STEPS,PART = 550, 110 # steps of an epoch, and of a turn
PATHS = { # name: (path, the libraries that it needs)
    'matrix products alone': (paths.products, 'torch'),
    'JAX, lax.scan': (paths.jax_scan, 'jax optax'),
    'JAX, jitted step': (paths.jax_step, 'jax optax'),
    'Keras 3 on JAX, fit': (paths.keras_fit, 'jax keras'),
    'DataLoader, TensorDataset': (paths.tensor_loader, 'torch'),
    'DataLoader, torchvision': (paths.torchvision_loader, 'torch torchvision'),
}
FLOOR,PEER = 'matrix products alone', 'JAX, lax.scan' # what the others are compared with

# In the process of a path

def peak_memory():
    "The most memory that this process has held, in MiB; None where the system does not say."
    try: lines = Path('/proc/self/status').read_text().splitlines()
    except OSError: return None
    return round(next(int(o.split()[1]) for o in lines if o.startswith('VmHWM'))/1024)

class Clock:
    "Tells the parent the seconds since the last pause, and waits until it is the path's turn again."
    def __init__(self, connection): self.connection,self.apart_seconds,self.started = connection, {}, time.perf_counter()
    def pause(self):
        seconds = time.perf_counter() - self.started
        self.connection.send({'seconds': seconds, 'peak': peak_memory(), 'apart': self.apart_seconds})
        self.apart_seconds = {}
        self.connection.recv()
        self.started = time.perf_counter()
    @contextmanager
    def apart(self, name):
        "What happens within is measured by itself."
        started = time.perf_counter()
        yield
        self.apart_seconds[name] = time.perf_counter() - started
        self.started += self.apart_seconds[name]

def work(connection, path, task, cores, result):
    "Train by one path; what it prints goes nowhere, what it fails of to the parent."
    if cores:
        os.sched_setaffinity(0, cores)
        os.environ['OMP_NUM_THREADS'] = str(len(cores))
    os.environ['TORCHINDUCTOR_CACHE_DIR'] = str(task.folder/'inductor') # so that compilation begins from nothing
    os.environ['XLA_PYTHON_CLIENT_PREALLOCATE'] = 'false' # a GPU is shared with the other paths
    for stream in (1, 2): os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
    clock = Clock(connection)
    try: weights = path(task, clock)
    except Exception as e: connection.send({'error': f'{type(e).__name__}: {e}'.splitlines()[0][:200]})
    else:
        if weights: paths.np.savez(result, **weights)
        connection.send({'apart': clock.apart_seconds})

# In the parent

class Worker:
    "A path in its process, and what it measured."
    def __init__(self, name, path, task, cores):
        self.name,self.seconds,self.apart,self.peak,self.error = name, [], {}, None, None
        self.result = task.folder/f'{name}.npz'
        context = get_context('spawn')
        self.connection,theirs = context.Pipe()
        self.process = context.Process(target=work, args=(theirs, path, task, cores, self.result))
        started = time.perf_counter()
        self.process.start()
        theirs.close()
        self.read()
        self.start = time.perf_counter() - started # until the end of its first turn
    def read(self):
        try: answer = self.connection.recv()
        except EOFError: answer = {'error': 'its process ended'}
        self.error = answer.get('error')
        for name,seconds in answer.get('apart', {}).items(): self.apart.setdefault(name, []).append(seconds)
        if 'seconds' not in answer: return
        self.seconds.append(answer['seconds'])
        if len(self.seconds) <= STEPS//PART: self.peak = answer['peak'] # of the steps of the first epoch, before it is measured
    def turn(self):
        time.sleep(0.02) # threads of the one before may still spin
        self.connection.send('go')
        self.read()
    def report(self):
        usual = median(self.seconds[1:])
        return {'seconds': [round(o, 5) for o in self.seconds[1:]], 'start': round(self.start - usual, 2), 'peak': self.peak,
                'apart': {name: [round(o, 5) for o in values] for name,values in self.apart.items()}}

def prepare(folder):
    "What all paths read: the images, the weights to start from, and the files that torchvision reads."
    from cvae_nbdev import CVAE,load_images
    from cvae_nbdev.core import bundled
    for split in ('train', 'valid'):
        data = load_images('mnist', split)
        paths.np.save(folder/f'{split}_images.npy', data.images.numpy())
        paths.np.save(folder/f'{split}_labels.npy', data.labels.numpy())
    paths.np.savez(folder/'start.npz', **{name: o.numpy() for name,o in CVAE().state_dict().items()})
    raw = folder/'MNIST'/'raw'
    raw.mkdir(parents=True)
    for o in bundled('mnist').glob('*.xz'): (raw/o.stem).write_bytes(lzma.open(o).read())

def losses(weights, device):
    "Losses over the training images, in nats per image, of the weights that a path left."
    import torch
    from cvae_nbdev import CVAE,load_images
    from cvae_nbdev.training import evaluate_losses
    model = CVAE()
    model.load_state_dict({name: torch.from_numpy(o) for name,o in weights.items()})
    found = evaluate_losses(model.to(device), load_images('mnist', 'train').to(device), paths.DIGIT_WEIGHT)
    return {name: round(found[name], 3) for name in ('vae_loss', 'digit_loss')}

def other_seeds(epochs, device, seeds=(1, 2, 3)):
    "The losses that the package's Trainer reaches with other seeds: how much they differ by chance."
    from cvae_nbdev import CVAE,TrainConfig,fit,load_images
    train,valid = (load_images('mnist', o) for o in ('train', 'valid'))
    histories = (fit(CVAE(), train, valid, TrainConfig(epochs=epochs, seed=o), device=device, progress=False).history for o in seeds)
    return [{'vae_loss': round(o.vae_loss[-1], 3), 'digit_loss': round(o.digit_loss[-1], 3)} for o in histories]

def own_paths(device):
    "Every way of the package's Trainer to take a step on this device."
    from cvae_nbdev.training import Trainer
    if 'step' not in inspect.signature(Trainer).parameters: return {'ours': (paths.ours, 'torch')}
    names = ('plain', 'lean', 'compiled') if device == 'cpu' else ('plain', 'compiled', 'graph')
    return {f'ours, {o}': (partial(paths.ours, step=o), 'torch') for o in names}

def machine(device, cores):
    "Where and with what this was measured."
    import torch
    names = [o.split(':')[1].strip() for o in Path('/proc/cpuinfo').read_text().splitlines() if o.startswith('model name')] \
            if Path('/proc/cpuinfo').exists() else [platform.processor()]
    names = names[:1] + ([torch.cuda.get_device_name()] if device == 'cuda' else [])
    found = [o for o in ('torch', 'torchvision', 'jax', 'jaxlib', 'optax', 'keras', 'numpy') if find_spec(o)]
    return {'machine': ', '.join(names), 'system': platform.system(), 'device': device, 'cores': len(cores or os.sched_getaffinity(0)),
            'torch threads': torch.get_num_threads() if not cores else len(cores), 'python': platform.python_version(),
            'versions': {o: metadata.version(o) for o in found}}

def measure(device='cpu', epochs=5, threads=None, only=''):
    "All paths, side by side."
    cores = sorted(os.sched_getaffinity(0))[:threads] if threads else None
    chosen = {name: o for name,o in (own_paths(device) | PATHS).items() if only in name or name in (FLOOR, PEER)}
    results = {'date': str(date.today()), **machine(device, cores), 'epochs': epochs, 'steps of a turn': PART, 'left out': {}, 'paths': {}}
    with TemporaryDirectory() as folder:
        task,workers = paths.Task(Path(folder), device, epochs, PART), []
        prepare(task.folder)
        for name,(path,needs) in chosen.items():
            missing = [o for o in needs.split() if not find_spec(o)]
            if missing: results['left out'][name] = f'{" and ".join(missing)} not installed'
            else: workers.append(Worker(name, path, task, cores))
        for _ in range(epochs*STEPS//PART):
            working = [o for o in workers if not o.error]
            for o in random.sample(working, len(working)): o.turn()
        for o in workers:
            o.process.join()
            if o.error: results['left out'][o.name] = o.error
            else: results['paths'][o.name] = o.report()
            if o.result.exists() and epochs > 1: results['paths'][o.name]['losses'] = losses(paths.np.load(o.result), device)
    if epochs > 1: results['other seeds'] = other_seeds(epochs, device)
    return results

# The results

def quarters(values): return quantiles(values, n=4, method='inclusive') # lower quartile, median, upper quartile

def ratios(results, name, base):
    "The ratios of a path to another, round by round: quartiles."
    return quarters([a/b for a,b in zip(*(results['paths'][o]['seconds'] for o in (name, base)))])

def table(results):
    "Markdown: seconds an epoch, ratios with their quartiles, time to start, peak memory, losses at the end."
    bases = [o for o in (FLOOR, PEER) if o in results['paths']]
    head = ['path', 's / epoch', *(f'/ {o}' for o in bases), 'start, s', 'peak, MiB', 'VAE loss', 'digit loss']
    lines = [head, ['---'] + ['--:']*(len(head) - 1)]
    for name,o in sorted(results['paths'].items(), key=lambda o: median(o[1]['seconds'])):
        found = [ratios(results, name, base) for base in bases]
        lines.append([name, f'{median(o["seconds"])*STEPS/PART:.3f}', *(f'{m:.2f} ({a:.2f} to {b:.2f})' for a,m,b in found),
                      f'{o["start"]:.1f}', o['peak'] or '', *(f'{x:.2f}' for x in o.get('losses', {}).values())])
    lines = ['| ' + ' | '.join(str(o) for o in line) + ' |' for line in lines]
    notes = [f'{results["machine"]}, {results["device"]}, {results["cores"]} cores, {results["torch threads"]} threads of torch, '
             + ', '.join(f'{name} {o}' for name,o in results['versions'].items()) + f'; {results["date"]}.']
    for name,o in results['paths'].items():
        epoch = median(o['seconds'])*STEPS/PART
        for what,values in o['apart'].items(): notes.append(f'{name}, {what}: {median(values):.3f} s, {median(values)/epoch:.2f} of the steps of an epoch.')
    if 'other seeds' in results:
        by_term = {name: [o[name] for o in results['other seeds']] for name in ('vae_loss', 'digit_loss')}
        notes.append(f'Losses after {results["epochs"]} epochs with {len(results["other seeds"])} other seeds: '
                     + ', '.join(f'{name.replace("_", " ")} {min(o):.2f} to {max(o):.2f}' for name,o in by_term.items()) + '.')
    notes += [f'Left out: {name} ({why}).' for name,why in results['left out'].items()]
    return '\n'.join(lines) + '\n\n' + '\n'.join(f'- {o}' for o in notes)

def plot(results):
    "How many times as long as the matrix products alone each path takes: median and quartiles."
    from cvae_nbdev.core import new_figure
    names = sorted(results['paths'], key=lambda o: -median(results['paths'][o]['seconds']))
    ax = new_figure(7.5, 0.8 + 0.3*len(names)).subplots()
    for i,name in enumerate(names):
        low,middle,high = ratios(results, name, FLOOR)
        ax.barh(i, middle, height=0.6, color='#3b6fb5' if name.startswith('ours') else '0.7', xerr=[[middle - low], [high - middle]])
        ax.annotate(f'{middle:.2f}', (high, i), xytext=(4, 0), textcoords='offset points', va='center', fontsize=9)
    ax.set_yticks(range(len(names)), names)
    ax.set_xlabel('time of a step, as a multiple of its matrix products')
    ax.spines[['top', 'right']].set_visible(False)
    ax.margins(x=0.1)
    return ax.figure

def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--device', default='cpu', choices=('cpu', 'cuda'))
    parser.add_argument('--threads', type=int, help='cores to use; all of them if not given')
    parser.add_argument('--only', default='', help='paths whose name holds this, beside those that all are compared with')
    parser.add_argument('--quick', action='store_true', help='one epoch instead of five, and no losses')
    parser.add_argument('--show', type=Path, metavar='FILE', help='measure nothing; show what was measured')
    parser.add_argument('--out', type=Path, metavar='FILE', help='write the results as JSON, and the plot beside them as PNG')
    args = parser.parse_args()
    if args.show: results = json.loads(args.show.read_text())
    else: results = measure(args.device, 1 if args.quick else 5, args.threads, args.only)
    print(table(results))
    if args.out: args.out.write_text(json.dumps(results, indent=1))
    if path := args.out or args.show: plot(results).savefig(path.with_suffix('.png'), dpi=150)

if __name__ == '__main__': main()
