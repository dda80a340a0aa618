import signal
import subprocess
import sys
import time

import psutil
import pytest


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can tie a process to its parent")
def test_a_leashed_process_dies_with_its_parent_even_by_kill_9(tmp_path):
    told = tmp_path / "pid"
    script = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-m', 'xraydenoise.leash', sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        f"open({str(told)!r}, 'w').write(str(child.pid)); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", script])
    while not (told.exists() and told.read_text()):
        time.sleep(0.05)
    child = psutil.Process(int(told.read_text()))
    while "xraydenoise.leash" in child.cmdline():  # until it is leashed and has become its command
        time.sleep(0.05)
    assert child.is_running()
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    _, alive = psutil.wait_procs([child], timeout=60)
    assert not [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]
