__version__ = "0.1.0"

# The names that users call, and the modules that they come from. A module is imported when the first of its names is
# used (PEP 562), so that a command or `import cvae_nbdev` does not wait for what it does not need.
_homes = {
    'ImageSet': 'data', 'show_grid': 'data', 'load_images': 'sources',
    'CVAE': 'model', 'CVAEConfig': 'model',
    'Trainer': 'training', 'TrainConfig': 'training', 'Recipe': 'training', 'History': 'training',
    'plot_losses': 'training', 'plot_samples': 'training',
    'fit': 'runs', 'load_run': 'runs', 'presets': 'better', 'FlowCVAE': 'better',
    'generate': 'sampling', 'infer': 'sampling', 'reconstruct': 'sampling', 'restyle': 'sampling',
    'interpolate': 'sampling', 'traverse': 'sampling',
    'evaluate': 'evaluation', 'Judge': 'judge', 'sweep': 'sweeps', 'grid': 'sweeps',
    'explore': 'widgets', 'restyle_explorer': 'widgets', 'train_live': 'widgets',
}
__all__ = list(_homes)

def __getattr__(name):
    if name not in _homes: raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    from importlib import import_module
    value = getattr(import_module(f'{__name__}.{_homes[name]}'), name)
    globals()[name] = value # from now on without this detour
    return value

def __dir__(): return sorted([*globals(), *_homes])
