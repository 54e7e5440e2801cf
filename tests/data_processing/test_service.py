from data_processing.service import failure_reason

JAVA = """[STREAM_FAILED] Query [id = 1] terminated with exception: Job aborted
JVM stacktrace:
org.apache.spark.SparkException: Job aborted
Caused by: org.apache.spark.SparkException: Task failed while writing rows
\tat org.apache.spark.Something.run(Something.scala:1)
Caused by: java.io.IOException: No space left on device
\tat java.io.FileOutputStream.writeBytes(Native Method)
"""


PYTHON = """[STREAM_FAILED] Query [id = 1] terminated with exception: Foreach batch error
Caused by: py4j.Py4JException: An exception was raised by the Python Proxy. Return Message: \
Traceback (most recent call last):
  File "/site-packages/deltalake/table.py", line 1, in open
    raise error
    ^^^^^^^^^^^
_internal.DeltaError: Kernel error

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "/src/core/lake.py", line 1, in open_table
    raise damage.error() from error
core.delta_log.LogDamagedError: the log is damaged: restart the stream

\tat py4j.Protocol.getReturnValue(Protocol.java:476)
"""


def test_an_error_of_the_micro_batch_is_reported_by_its_own_words() -> None:
    reason = failure_reason(RuntimeError(PYTHON))
    assert reason == "LogDamagedError: the log is damaged: restart the stream"


def test_the_innermost_cause_of_a_java_trace_is_reported() -> None:
    assert failure_reason(RuntimeError(JAVA)) == "IOException: No space left on device"


def test_a_python_error_is_reported_by_its_first_line() -> None:
    assert failure_reason(ValueError("\nfirst\nsecond")) == "ValueError: first"


def test_an_error_without_words_has_its_name() -> None:
    assert failure_reason(KeyError()) == "KeyError: "
