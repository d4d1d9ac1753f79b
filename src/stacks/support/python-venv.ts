/**
 * A virtual environment inside the app's tree that works wherever the tree is put.
 *
 * `python3 -m venv` makes one that works only where it was made: its interpreter is a link to the host's, its scripts
 * name their interpreter by an absolute path, and its compiled files are valid by modification times, which trees do
 * not keep. So it is finished after each install: the interpreter becomes a script that starts the host's Python under
 * the environment's name (which is how Python finds its pyvenv.cfg), scripts ask `env` for python3, and files are
 * compiled to be valid by content (PEP 552).
 */
import type { BuildCommand } from '../../shared/contracts/steps.ts';
import { pathLine } from './launch.ts';

export const venvDirectory = '.paas/venv';

/** Profile line under which `python`, `python3` and the environment's scripts are found first. */
export const venvProfile = pathLine(`${venvDirectory}/bin`);

const pip = `${venvDirectory}/bin/python3 -m pip --disable-pip-version-check --no-input`;

/** Exit 127, as a shell has it for a command that is not found. */
const needVenvModule = `python3 -c 'import venv, ensurepip' 2>/dev/null || {
  echo "The Python of this host has no venv module (Debian and Ubuntu: apt install python3-venv)." >&2
  exit 127
}`;

// The parts that name directories: run by the host's Python, since it replaces the environment's own.
const finishScript = String.raw`
import os, pathlib, re, shutil, sys

venv, keep_pip = pathlib.Path(sys.argv[1]), sys.argv[2] == 'keep'
bin = venv / 'bin'
python = bin / 'python3'

if sys.platform == 'linux' and python.is_symlink():
    version = '%d.%d' % sys.version_info[:2]
    real = os.path.realpath(python)
    for link in bin.glob('python*'):
        link.unlink()
    python.write_text(f'''#!/bin/sh
# Starts the host's Python as this virtual environment, wherever the app lies: it goes by the name it is called by.
python={real}
if [ ! -x "$python" ]; then
  echo "This app was built with Python {version} at $python, which this host does not have: push it again." >&2
  exit 127
fi
bin=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd) || exit 126
if command -v bash >/dev/null 2>&1; then
  exec bash -c 'exec -a "$0" "$@"' "$bin/python3" "$python" "$@"
fi
exec -a "$bin/python3" "$python" "$@"
''')
    python.chmod(0o755)
    (bin / 'python').symlink_to('python3')
    (bin / f'python{version}').symlink_to('python3')

# Both forms that pip writes: a plain first line, and one by way of sh where the path is long.
own = re.compile(rb"\A#!(?:[^\n]*/bin/python[0-9.]*[^\n]*\n|/bin/sh\n'''exec' [^\n]*\n' '''\n)")
for script in bin.iterdir():
    if script == python or script.is_symlink() or not script.is_file():
        continue
    if script.name.lower().startswith('activate') or (not keep_pip and re.match(r'pip[0-9.]*$', script.name)):
        script.unlink()
        continue
    text = script.read_bytes()
    script.write_bytes(own.sub(b'#!/usr/bin/env python3\n', text))

config = venv / 'pyvenv.cfg'
lines = config.read_text().splitlines(True)
config.write_text(''.join(line for line in lines if not line.startswith('command')))

if not keep_pip:
    for packages in venv.glob('lib/python*/site-packages'):
        for entry in [packages / 'pip', *packages.glob('pip-*.dist-info')]:
            shutil.rmtree(entry, ignore_errors=True)
`.trim();

export interface VenvInstall {
  /** Shown to the user: `pip install -r requirements.txt`. */
  name: string;
  /** What pip is asked to do: `install -r requirements.txt`; `-` reads requirements from the output of `requirements`. */
  arguments: string;
  /** A Python program whose output is the list of requirements, for `arguments` that end in `-r /dev/stdin`. */
  requirements?: string;
  /** Make the environment anew first. */
  fresh: boolean;
  /** pip stays in the environment: a further install follows, or the app asks for it. */
  keepPip: boolean;
  cacheKey?: string;
}

/** One command of a recipe that installs into the environment and leaves it fit to be moved. */
export function venvInstall(install: VenvInstall): BuildCommand {
  const feed =
    install.requirements === undefined
      ? ''
      : `${venvDirectory}/bin/python3 - <<'END' |\n${install.requirements}\nEND\n`;
  const run = [
    'set -e',
    ...(install.fresh ? [needVenvModule, `rm -rf ${venvDirectory}`, `python3 -m venv ${venvDirectory}`] : []),
    `${feed}${pip} install --no-compile ${install.arguments}`,
    `python3 - ${venvDirectory} ${install.keepPip ? 'keep' : 'drop'} <<'END'\n${finishScript}\nEND`,
    // Some packages carry files for other versions of Python; those are not compiled and nothing is lost by it.
    `${venvDirectory}/bin/python3 -m compileall -q -f -s "$PWD" --invalidation-mode unchecked-hash ${venvDirectory}/lib >/dev/null || true`,
  ].join('\n');
  return {
    name: install.name,
    run,
    env: {},
    ...(install.cacheKey === undefined ? {} : { cache: { key: install.cacheKey, paths: [venvDirectory] } }),
  };
}

/** Prints the dependencies of [project] in pyproject.toml (PEP 621), one a line. */
export const projectDependencies = `
try:
    import tomllib
except ModuleNotFoundError:
    from pip._vendor import tomli as tomllib
with open('pyproject.toml', 'rb') as file:
    project = tomllib.load(file).get('project', {})
print('\\n'.join(project.get('dependencies', [])))
`.trim();
