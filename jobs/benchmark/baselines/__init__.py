"""The programs that users have today, each a script of its own: ``python jobs/benchmark/baselines/NAME.py SPEC.json``.

They share `shared` with one another and nothing with the product, and print one JSON object as their last line.
"""
