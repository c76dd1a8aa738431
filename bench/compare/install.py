# SPDX-License-Identifier: Apache-2.0
"""Where the peers' programs come from: packages of Debian and of npm, unpacked under build/.

A Debian package and whatever it needs that is not installed is downloaded and unpacked, not installed: so no service is
started or enabled, nothing outside build/ changes, and it takes no root. A package that is installed is used as it is.
"""
import glob
import os
import re
import shutil
import subprocess

from servers import ROOT, Missing

PEERS = os.path.join(ROOT, "build", "peers")
UNPACKED = os.path.join(PEERS, "root")
NPM = os.path.join(ROOT, "build", "npm")
MODULES = os.path.join(NPM, "node_modules")
DOWNLOAD_SECONDS = 180


def run(command, **options):
    try:
        return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, errors="replace", timeout=DOWNLOAD_SECONDS, check=False, **options)
    except FileNotFoundError:
        raise Missing(f"{command[0]} is not installed") from None
    except subprocess.TimeoutExpired:
        raise Missing(f"{command[0]} did not end in {DOWNLOAD_SECONDS} s") from None


def complaint(text):
    """The first line that apt or npm marks as an error, else the last one."""
    lines = [line.strip() for line in text.splitlines() if line.strip()] or ["it said nothing"]
    return next((line for line in lines if re.match(r"E:|npm (error|ERR!)", line)), lines[-1])


# ---- Debian

def find(path):
    """The file of an installed or of an unpacked package, as in the package: "usr/sbin/nginx"."""
    for root in ("/", UNPACKED):
        if os.path.exists(os.path.join(root, path)):
            return os.path.join(root, path)
    return None


def debian_version(package):
    """The version without epoch and without what the distribution added."""
    version = ""
    if shutil.which("dpkg-query"):
        done = run(["dpkg-query", "-W", "-f", "${db:Status-Status} ${Version}", package])
        if done.returncode == 0 and done.stdout.startswith("installed "):
            version = done.stdout.split()[1]
    if not version:
        files = sorted(glob.glob(os.path.join(PEERS, "archives", f"{package}_*.deb")), key=os.path.getmtime)
        version = os.path.basename(files[-1]).split("_")[1].replace("%3a", ":") if files else ""
    return re.sub(r"(\+dfsg.*|-[^-]*)$", "", version.rpartition(":")[2])


def download(packages, lists):
    options = {"Dir::Cache": PEERS, "Dir::Cache::archives": os.path.join(PEERS, "archives"), "Debug::NoLocking": "1",
               "APT::Install-Recommends": "0", "APT::Sandbox::User": "", "Acquire::Retries": "2"}
    if lists:
        options["Dir::State::lists"] = lists
    flags = [part for key, value in options.items() for part in ("-o", f"{key}={value}")]
    if lists:
        os.makedirs(os.path.join(lists, "partial"), exist_ok=True)
        run(["apt-get", "-q", *flags, "update"])
    return run(["apt-get", "-q", "-y", *flags, "install", "--download-only", *packages],
               env={**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"})


def debian(packages, paths, install):
    """Sees to it that all paths can be found; raises Missing."""
    def there():
        return all(find(path) for path in paths)

    if there():
        return
    if not install:
        raise Missing(f"{' and '.join(packages)}: not installed, and nothing is to be installed (--no-install)")
    os.makedirs(os.path.join(PEERS, "archives", "partial"), exist_ok=True)
    done = download(packages, None)
    # Lists of packages of our own, in case the host's are old or were never fetched.
    if done.returncode and download(packages, os.path.join(PEERS, "lists")).returncode:
        raise Missing(f"{' and '.join(packages)}: not to be had: {complaint(done.stdout)}")
    for archive in glob.glob(os.path.join(PEERS, "archives", "*.deb")):
        run(["dpkg", "-x", archive, UNPACKED])
    if not there():
        raise Missing(f"{' and '.join(packages)}: no {' or '.join(p for p in paths if not find(p))} in the packages")


def shared_objects():
    """For LD_LIBRARY_PATH: libraries that were unpacked beside a peer."""
    folders = glob.glob(os.path.join(UNPACKED, "usr/lib/*-linux-*")) + glob.glob(os.path.join(UNPACKED, "lib/*-linux-*"))
    return ":".join(folders)


def environment():
    """For a program that may have been unpacked."""
    paths = [p for p in (shared_objects(), os.environ.get("LD_LIBRARY_PATH")) if p]
    return {**os.environ, "LD_LIBRARY_PATH": ":".join(paths)}


# ---- npm

def npm_version(package):
    try:
        with open(os.path.join(MODULES, package, "package.json"), encoding="utf-8") as f:
            return re.search(r'^\s*"version":\s*"([^"]+)"', f.read(), re.M).group(1)
    except (OSError, AttributeError):
        return ""


def npm(package, major, install):
    if not shutil.which("node"):
        raise Missing("node is not installed")
    if npm_version(package):
        return
    if not install:
        raise Missing(f"npm package {package}: not installed, and nothing is to be installed (--no-install)")
    os.makedirs(NPM, exist_ok=True)
    done = run(["npm", "install", "--prefix", NPM, f"{package}@{major}", "--no-audit", "--no-fund", "--ignore-scripts",
                "--fetch-retries=1", "--fetch-timeout=30000"])
    if done.returncode or not npm_version(package):
        raise Missing(f"npm package {package}: not to be had: {complaint(done.stdout)}")
