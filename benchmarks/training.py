"""How fast is training, beside its bare matrix products, and beside others with the same model?

    python benchmarks/training.py --out benchmarks/results.json   # minutes; all else should rest
    python benchmarks/training.py --quick                         # one epoch, and no losses
    python benchmarks/training.py --show benchmarks/results.json  # table and plot of that again

What is compared stands in paths.py; the peers are used where they are installed
(benchmarks/requirements.txt). Each path has a process of its own, which sleeps until it is its
turn. A turn is a fifth of an epoch, and in each round every path has one, in random order: a
machine that is now fast and now slow is so for all of them. The ratios are taken within a round.
Quote those; seconds depend on the machine and on the day. The first turn, with imports and
compilation, is apart.
"""
import argparse,json,lzma,os,platform,random,sys,time
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
TERMS = {'vae_loss': 'VAE loss', 'digit_loss': 'digit loss'} # by their names in the package

# In the process of a path

def peak_memory():
    "The most memory that this process has held, in MiB; None where the system does not say."
    try: lines = Path('/proc/self/status').read_text().splitlines()
    except OSError: return None
    return round(next(int(o.split()[1]) for o in lines if o.startswith('VmHWM'))/1024)

def device_memory():
    "The most memory of the GPU that this process has held, in MiB."
    if torch := sys.modules.get('torch'): return round(torch.cuda.max_memory_allocated()/2**20)
    return round(sys.modules['jax'].local_devices()[0].memory_stats()['peak_bytes_in_use']/2**20)

class Clock:
    "Tells the parent the seconds since the last pause, and waits for the next turn."
    def __init__(self, connection, device):
        self.connection,self.device = connection, device
        self.apart_seconds,self.started = {}, time.perf_counter()
    def pause(self):
        seconds = time.perf_counter() - self.started
        memory = {'peak': peak_memory()}
        if self.device == 'cuda': memory['peak GPU'] = device_memory()
        self.connection.send({'seconds': seconds, 'memory': memory, 'apart': self.apart_seconds})
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
    os.environ['TORCHINDUCTOR_CACHE_DIR'] = str(task.folder/'inductor') # empty: compile anew
    os.environ['JAX_PLATFORMS'] = task.device # an error, if JAX has none
    os.environ['XLA_PYTHON_CLIENT_PREALLOCATE'] = 'false' # a GPU is shared with the other paths
    for stream in (1, 2): os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
    clock = Clock(connection, task.device)
    try: weights = path(task, clock)
    except Exception as e:
        connection.send({'error': f'{type(e).__name__}: {e}'.splitlines()[0][:200]})
    else:
        if weights: paths.np.savez(result, **weights)
        connection.send({'apart': clock.apart_seconds})

# In the parent

class Worker:
    "A path in its process, and what it measured."
    def __init__(self, name, path, task, cores):
        self.name,self.error = name, None
        self.seconds,self.memory,self.apart = [], {}, {}
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
        for name,seconds in answer.get('apart', {}).items():
            self.apart.setdefault(name, []).append(round(seconds, 5))
        if 'seconds' not in answer: return
        self.seconds.append(answer['seconds'])
        if len(self.seconds) <= STEPS//PART: # of steps alone: the end of an epoch comes later
            self.memory = answer['memory']
    def turn(self):
        time.sleep(0.02) # threads of the one before may still spin
        self.connection.send('go')
        self.read()
    def report(self):
        usual = median(self.seconds[1:])
        return {'seconds': [round(o, 5) for o in self.seconds[1:]], **self.memory,
                'start': round(self.start - usual, 2), 'apart': self.apart}

def prepare(folder, train, valid):
    "What the paths read: images, weights to start from, and the files for torchvision."
    from cvae_nbdev import CVAE
    from cvae_nbdev.core import bundled
    for split,data in {'train': train, 'valid': valid}.items():
        paths.np.save(folder/f'{split}_images.npy', data.images.numpy())
        paths.np.save(folder/f'{split}_labels.npy', data.labels.numpy())
    weights = {name: o.numpy() for name,o in CVAE().state_dict().items()}
    paths.np.savez(folder/'start.npz', **weights)
    raw = folder/'MNIST'/'raw'
    raw.mkdir(parents=True)
    for o in bundled('mnist').glob('*.xz'): (raw/o.stem).write_bytes(lzma.open(o).read())

def losses(model, train):
    "Losses over the training images, in nats per image."
    from cvae_nbdev import Trainer
    found = Trainer(model, train, train[:100]).measure(train)
    return {name: round(found[name], 3) for name in TERMS}

def losses_of(weights, train, device):
    "The losses of the weights that a path left."
    import torch
    from cvae_nbdev import CVAE
    model = CVAE()
    model.load_state_dict({name: torch.from_numpy(o) for name,o in weights.items()})
    return losses(model.to(device), train)

def losses_of_seed(seed, train, valid, epochs, device):
    "The losses that the package reaches with another seed: how much they differ by chance."
    from cvae_nbdev import CVAE,TrainConfig,fit
    config = TrainConfig(epochs=epochs, seed=seed)
    return losses(fit(CVAE(), train, valid, config, device=device, progress=False).model, train)

def own_paths():
    "The package's Trainer, with the loss as it is written, and compiled."
    return {f'ours, {o}': (partial(paths.ours, way=o), 'torch') for o in ('written', 'compiled')}

def usable_cores():
    "The numbers of the cores that this process may use."
    if hasattr(os, 'sched_getaffinity'): return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count()))

def processor():
    "What the processor is called."
    try: lines = Path('/proc/cpuinfo').read_text().splitlines()
    except OSError: return platform.processor()
    return next(o.split(':')[1].strip() for o in lines if o.startswith('model name'))

def machine(device, cores):
    "Where and with what this was measured."
    import torch
    names = processor(), *([torch.cuda.get_device_name()] if device == 'cuda' else [])
    libraries = 'torch', 'torchvision', 'jax', 'jaxlib', 'optax', 'keras', 'numpy'
    return {'machine': ', '.join(names), 'system': platform.system(), 'device': device,
            'cores': len(cores or usable_cores()),
            'torch threads': len(cores) if cores else torch.get_num_threads(),
            'python': platform.python_version(),
            'versions': {o: metadata.version(o) for o in libraries if find_spec(o)}}

def take_turns(workers, rounds):
    "In each round every path has one turn, in random order; then all of them end."
    from tqdm import trange
    try:
        for _ in trange(rounds, unit='round'):
            working = [o for o in workers if not o.error]
            for o in random.sample(working, len(working)): o.turn()
    finally:
        for o in workers: o.connection.close() # a process that still waits for a turn ends
        for o in workers: o.process.join()

def measure(device='cpu', epochs=5, threads=None, only=''):
    "All paths, side by side; `ValueError` if there is no such device."
    from cvae_nbdev import load_images
    from cvae_nbdev.core import pick_device
    pick_device(device)
    cores = usable_cores()[:threads] if threads else None
    results = {'date': str(date.today()), **machine(device, cores), 'epochs': epochs,
               'steps of a turn': PART, 'left out': {}, 'paths': {}}
    train,valid = (load_images('mnist', o) for o in ('train', 'valid'))
    with TemporaryDirectory() as folder:
        task,workers = paths.Task(Path(folder), device, epochs, PART), []
        prepare(task.folder, train, valid)
        for name,(path,needs) in (own_paths() | PATHS).items():
            missing = [o for o in needs.split() if not find_spec(o)]
            if missing: results['left out'][name] = f'{" and ".join(missing)} not installed'
            elif only in name or name in (FLOOR, PEER):
                workers.append(Worker(name, path, task, cores))
        take_turns(workers, epochs*STEPS//PART)
        for o in workers:
            if o.error: results['left out'][o.name] = o.error
            else: results['paths'][o.name] = o.report()
            if o.result.exists() and epochs > 1:
                found = losses_of(paths.np.load(o.result), train, device)
                results['paths'][o.name]['losses'] = found
    if epochs > 1:
        found = [losses_of_seed(o, train, valid, epochs, device) for o in (1, 2, 3)]
        results['other seeds'] = found
    return results

# The results

def ratios(results, name, base):
    "The ratios of a path to another, round by round: lower quartile, median, upper quartile."
    both = zip(*(results['paths'][o]['seconds'] for o in (name, base)))
    return quantiles([a/b for a,b in both], n=4, method='inclusive')

def epoch_seconds(results, name): return median(results['paths'][name]['seconds'])*STEPS/PART

def table(results):
    "Markdown: seconds an epoch, ratios and their quartiles, time to start, peak memory, losses."
    measured = results['paths']
    bases = [o for o in (FLOOR, PEER) if o in measured]
    memory = [o for o in ('peak', 'peak GPU') if o in next(iter(measured.values()))]
    terms = TERMS if 'other seeds' in results else {}
    head = ['path', 's / epoch', *(f'over {o}' for o in bases), 'start, s',
            *(f'{o}, MiB' for o in memory), *terms.values()]
    lines = [head, ['---'] + ['--:']*(len(head) - 1)]
    for name in sorted(measured, key=partial(epoch_seconds, results)):
        o = measured[name]
        found = [ratios(results, name, base) for base in bases]
        lines.append([name, f'{epoch_seconds(results, name):.2f}',
                      *(f'{middle:.2f} ({low:.2f} to {high:.2f})' for low,middle,high in found),
                      f'{o["start"]:.1f}', *(f'{o[kind]}' for kind in memory),
                      *(f'{o["losses"][term]:.2f}' if 'losses' in o else '' for term in terms)])
    return '\n'.join(f'| {" | ".join(line)} |' for line in lines)

def notes(results):
    "Markdown: the machine, what was measured apart, how losses differ by chance, what is missing."
    libraries = ', '.join(f'{name} {o}' for name,o in results['versions'].items())
    lines = [f'{results["machine"]}, device {results["device"]}, cores {results["cores"]}, threads '
             f'of torch {results["torch threads"]}; {libraries}; {results["date"]}.']
    for name,path in results['paths'].items():
        epoch = epoch_seconds(results, name)
        apart = {what: median(values) for what,values in path['apart'].items()}
        found = (f'{what} {o:.3f} s ({o/epoch:.2f} of its steps)' for what,o in apart.items())
        if apart: lines.append(f'{name}: {", ".join(found)}.')
    for term,title in TERMS.items() if 'other seeds' in results else ():
        values = [o[term] for o in results['other seeds']]
        lines.append(f'{title} after {results["epochs"]} epochs with '
                     f'{len(values)} other seeds: {min(values):.2f} to {max(values):.2f}.')
    lines += [f'Left out: {name} ({why}).' for name,why in results['left out'].items()]
    return '\n'.join(f'- {o}' for o in lines)

def plot(results):
    "Time of a step over that of its matrix products: median, and quartiles as lines."
    from cvae_nbdev.core import new_figure
    names = sorted(results['paths'], key=partial(epoch_seconds, results), reverse=True)
    ax = new_figure(7.5, 0.8 + 0.3*len(names)).subplots()
    for i,name in enumerate(names):
        low,middle,high = ratios(results, name, FLOOR)
        ax.barh(i, middle, height=0.6, color='#3b6fb5' if name.startswith('ours') else '0.7',
                xerr=[[middle - low], [high - middle]])
        ax.annotate(f'{middle:.2f}', (high, i), xytext=(4, 0), textcoords='offset points',
                    va='center', fontsize=9)
    ax.set_yticks(range(len(names)), names)
    ax.set_xlabel('time of a step, as a multiple of its matrix products')
    ax.spines[['top', 'right']].set_visible(False)
    ax.margins(x=0.1)
    return ax.figure

def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--device', default='cpu', choices=('cpu', 'cuda'))
    parser.add_argument('--threads', type=int, help='cores to use, on Linux; else all')
    parser.add_argument('--only', default='', help='paths whose name holds this, and both bases')
    parser.add_argument('--quick', action='store_true', help='one epoch instead of five, no losses')
    parser.add_argument('--show', type=Path, metavar='FILE', help='show what was measured before')
    parser.add_argument('--out', type=Path, metavar='FILE',
                        help='write the results as JSON, and the plot beside them as PNG')
    args = parser.parse_args()
    if args.show: results = json.loads(args.show.read_text())
    else: results = measure(args.device, 1 if args.quick else 5, args.threads, args.only)
    print(table(results), notes(results), sep='\n\n')
    if args.out: args.out.write_text(json.dumps(results, indent=1))
    if path := args.out or args.show: plot(results).savefig(path.with_suffix('.png'), dpi=150)

if __name__ == '__main__': main()
