"""Makes the packages of hack/requirements.txt importable for whichever Python runs the tests; import it before them."""

import pathlib
import site
import subprocess
import sys
import sysconfig

from fathom import ROOT

PYTHON = pathlib.Path(subprocess.run([ROOT / "hack" / "python.sh"], capture_output=True, text=True, check=True).stdout.strip())
if not sys.prefix.startswith(str(PYTHON.parent.parent)):
    site.addsitedir(sysconfig.get_path("platlib", vars={"platbase": str(PYTHON.parent.parent)}))
