"""The benchmark: this renderer beside the bare network and beside the programs that users have today.

All systems run on one machine in one go, interleaved, each in processes of its own, and the frames of every one are
compared with the same reference. DIR gets three files:

``benchmark.json``
    ===================  ==============================================================================================
    key                  meaning
    ===================  ==============================================================================================
    ``version``          format of this file, raised when a key changes its meaning
    ``complete``         false in a benchmark that was interrupted
    ``date``             UTC date of its beginning, ISO 8601
    ``took_s``           how long all of it took, seconds
    ``command``          the command without paths
    ``machine``          ``cpu``, ``cores``, ``memory_gib``, ``gpu`` (or null), ``system`` and ``versions``
    ``clip``             ``name``, ``backgrounds``, ``width``, ``height``
    ``networks``         by regime: ``name``, ``kind``, ``batch`` (null for any), ``precision`` (of the weights)
    ``device``           ``cpu`` or ``cuda``
    ``seconds``          how long each trial was meant to render
    ``sweep``            what was tried to find everybody's setting: ``regime``, ``system``, ``format``, ``workers``,
                         ``threads`` (of each session), ``batch``, ``precision``, ``frames``, ``fps``, ``fault``
    ``settings``         by regime and system: the setting it took part with; ours chose its own, see ``trials``, and
                         the bare heavy network, with --full the light one too, ran with its best two in each repeat, of
                         which the better median counts
    ``results``          by regime, format and system: ``fps`` (median, low, high and count over the repeats, null for
                         a system that failed or whose frames are wrong), ``of_bare`` (ratio of its median to the bare
                         network's, which runs as it was exported: ours may reach more than 1), ``fault`` (why there is
                         no figure, else empty), ``frames_checked``, ``worst_level`` (largest difference from the
                         reference, 0..255)
    ``headline``         ours over every other system: ``regime``, ``format``, ``over``, ``ratio`` (of the medians),
                         ``low`` and ``high`` (of the ratios within one repeat), ``goal`` (or null), ``met`` (or null)
    ``memory``           by regime, format and system, over all repeats: largest sum over its processes of
                         proportional set sizes (``pss``), of which shared memory (``shared``), largest private memory
                         of one process (``private``), ``processes`` (their roles at the peak, each with ``pss``,
                         ``private`` and ``shared``), ``samples``; all in bytes; empty where the system cannot tell
    ``object_store``     ours, by regime and format: bytes of backgrounds in Ray's object store
    ``cold_start``       ours, by regime and format: medians in seconds of the parts in run.json's ``totals.cold``
    ``workers_batch``    with --full: ours and the thread-pool program by regime, workers and batch
    ``long_run``         with --full: ours at 1,000 and at 10,000 frames: ``frames``, ``fps`` (null if a repeat failed),
                         ``worker_private`` (bytes of the largest worker), ``pss``, ``fault``
    ``modes``            ours, light network, jpg, one worker without Ray on the CPU, by ``mode`` of blending:
                         ``inference_ms``, ``composite_ms`` and ``total_ms`` (all stages) in milliseconds per frame,
                         medians over rounds in which all modes take turns, ``low_ms`` and ``high_ms`` of the total;
                         ``seam`` (median over the frames) and ``seam_worst``, as in `actors.core.seam`
    ``trials``           every counted trial, as in ``benchmark.parquet``
    ===================  ==============================================================================================

``benchmark.parquet``
    One row per regime, format, system and repeat (two where the bare network ran with two settings): the
    attributes of `jobs.benchmark.measurement.Measurement`; the parts of the cold start as columns ``cold_...``.

``benchmark.md``
    The tables for README.

What counts: ``fps_steady`` is frames over the time from the first frame begun to the last file closed, with all
sessions warm. Ours encodes each background, and runs the network's face encoder on it where that pays (``faces`` in
``benchmark.parquet``), once before that time, while it loads; others do that work per frame, so it is charged: frames /
(steady_s + prepare_s / cores), where ``prepare_s`` is the processor time that went into it, summed over loading tasks.
Start-up is reported apart from it. Joining the video's segments is not in it. Of Ray Data counts what it does once its
pipeline is full, because a short trial would be mostly its beginning; its ``frames`` are those.
"""
