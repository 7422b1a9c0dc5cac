"""What a worker does with frames: backgrounds loaded into blocks, batches run, frames finished, encoded and written.

Nothing here knows the driver, or which range comes next.
"""
