"""The benchmark: this renderer beside the bare network and beside the programs that users have today.

All systems run on one machine in one go, interleaved, each in processes of its own, and the frames of every one are
compared with the same reference. DIR gets ``benchmark.md``, all tables, and ``benchmark.json``:

    ===================  ==============================================================================================
    key                  meaning
    ===================  ==============================================================================================
    ``version``          format of this file, raised when a key changes its meaning
    ``complete``         false in a benchmark that was interrupted
    ``date``             UTC date of its beginning, ISO 8601
    ``took_s``           how long all of it took, seconds
    ``command``          the command without paths
    ``machine``          ``cpu``, ``cores``, ``memory_gib``, ``gpu`` (or null) and ``versions``
    ``clip``             ``name``, ``backgrounds``, ``width``, ``height``
    ``networks``         by regime: ``name`` and ``precision`` (of the weights)
    ``device``           ``cpu`` or ``cuda``
    ``seconds``          how long each trial was meant to render
    ``results``          by regime, format and system: ``fps`` (median, low, high and count over the repeats, null for
                         a system that failed or whose frames are wrong), ``fault`` (why, else empty)
    ``headline``         ours over every other system: ``regime``, ``format``, ``over``, ``ratio`` (of the medians),
                         ``goal`` (or null), ``met`` (or null)
    ``modes``            rows of `jobs.benchmark.modes.ModeCost`: ours, light network, jpg, without Ray on the CPU
    ``many_clips``       many clips in one command, rows of `jobs.benchmark.many_clips.ClipsResult`
    ``clips_trials``     of these every trial, rows of `jobs.benchmark.many_clips.ClipsTrial`
    ``trials``           every counted trial: ``regime``, ``format``, ``system``, ``repeat``, the setting it was told
                         (`jobs.benchmark.settings.Setting`), what it answered (`jobs.benchmark.measurement.Answer`;
                         ``cold`` are the parts in run.json's ``totals.cold``), ``frames_checked``, ``worst_level``
                         (largest difference from the reference, 0..255), ``fps``, ``fault``
    ``sweep``            the same of what was tried to find everybody's setting
    ``workers_batch``    with --full, the same: ours and the thread-pool program over workers and batch
    ``long_run``         with --full, the same: ours at 1,000 and at 10,000 frames
    ===================  ==============================================================================================

What counts: the time from the first frame begun to the last file closed, with all sessions warm. Ours encodes each
background, and runs the network's face encoder on it where that pays (``faces``), once before that time, while it
loads; others do that work per frame, so it is charged: ``fps`` is frames / (steady_s + prepare_s / cores). Start-up is
reported apart from it. Joining the video's segments is not in it. Of Ray Data counts what it does once its pipeline is
full, because a short trial would be mostly its beginning; its ``frames`` are those. The bare network runs as it was
exported: ours may be faster. With the heavy network (with --full with both) its best two settings run in each repeat,
of which the better median counts. On GPUs nobody uses TF32 (``NVIDIA_TF32_OVERRIDE=0``); ours runs at the best of
several layouts, its own and some that it is told (``told``), which are tried before.
"""
