"""Where the commands begin: Ctrl-C while PyTorch is loaded is one line, as it is later."""
import sys

commands = 'cvae_train', 'cvae_sample', 'cvae_infer', 'cvae_evaluate'

def main(words):
    "Run a command, given its name and its options."
    name,*options = words or ['']
    if name not in commands:
        print('usage: python -m cvae_nbdev COMMAND [options]; COMMAND is one of', ', '.join(commands), file=sys.stderr)
        raise SystemExit(2)
    try:
        from cvae_nbdev import cli
        getattr(cli, name).command(options)
    except KeyboardInterrupt:
        print(f'{name}: interrupted', file=sys.stderr)
        raise SystemExit(130) from None

def cvae_train(): main(['cvae_train', *sys.argv[1:]])
def cvae_sample(): main(['cvae_sample', *sys.argv[1:]])
def cvae_infer(): main(['cvae_infer', *sys.argv[1:]])
def cvae_evaluate(): main(['cvae_evaluate', *sys.argv[1:]])

if __name__ == '__main__': main(sys.argv[1:])
