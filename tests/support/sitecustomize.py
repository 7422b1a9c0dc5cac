"""Python reads this when a process begins that has the suite's support on its path.

Where the environment names a file of settings, the process has the CUDA of `cuda_stand_in`.
"""

import os

if "STAND_IN_CUDA" in os.environ:
    import cuda_stand_in

    cuda_stand_in.on_import()
