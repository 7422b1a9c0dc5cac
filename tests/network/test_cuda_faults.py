"""What the words of CUDA's errors mean for the user; they are ONNX Runtime's, CUDA's and the dynamic linker's own."""

from __future__ import annotations

import cuda_stand_in
import pytest

from actors.core.errors import NoCudaError
from actors.network.cuda_faults import device_failure, no_cuda

RUN = "[ONNXRuntimeError] : 1 : FAIL : Non-zero status code returned while running Conv node. Name:'up1.conv' "
SOURCES = "/onnxruntime_src/onnxruntime/core/providers/cuda"
AT = f"; GPU=0 ; hostname=node ; file={SOURCES}/cuda_call.cc ; line=129 ; expr=x()"

# What ONNX Runtime 1.31.1 says with CUDA's libraries and without a driver, but for one of its two repetitions.
CALL = (
    f"{SOURCES}/cuda_call.cc:154 std::conditional_t<THRW, void, onnxruntime::common::Status> onnxruntime::CudaCall("
    "ERRTYPE, const char*, const char*, SUCCTYPE, const char*, const char*, int) [with ERRTYPE = cudaError; bool THRW ="
    " true; SUCCTYPE = cudaError; std::conditional_t<THRW, void, common::Status> = void] "
)
OLD_DRIVER = "CUDA failure 35: CUDA driver version is insufficient for CUDA runtime version"


@pytest.mark.parametrize(
    ("message", "problem", "fix"),
    [
        (cuda_stand_in.NO_CUDNN, "a library is missing", "LD_LIBRARY_PATH"),
        ("Failed to load libcublasLt.so.13: cannot open shared object file", "a library is missing", "LD_LIBRARY_PATH"),
        (
            RUN + "cuDNN is not available. Install cuDNN, update the system library search path",
            "a library is",
            "[cuda]",
        ),
        (CALL + OLD_DRIVER + f" {AT}", "too old", "580"),
        (f"CUDA failure 803: system has unsupported display driver / cuda driver combination {AT}", "too old", "580"),
        (RUN + f"CUDA failure 209: no kernel image is available for execution on the device {AT}", "no kernels", "GPU"),
        (RUN + "CUDNN_FE failure 8: CUDNN_STATUS_ARCH_MISMATCH", "no kernels for this GPU", "onnxruntime-gpu"),
        (f"CUDA failure 100: no CUDA-capable device is detected {AT}", "no GPU can be used", "nvidia-smi"),
        (f"CUDA failure 46: all CUDA-capable devices are busy or unavailable {AT}", "no GPU can be used", "nvidia-smi"),
        (RUN + "CUDNN failure 3009: CUDNN_STATUS_SUBLIBRARY_LOADING_FAILED", "a library is", "LD_LIBRARY_PATH"),
        (RUN + "CUDNN failure 1001: CUDNN_STATUS_NOT_INITIALIZED", "cuDNN failed", "LD_LIBRARY_PATH"),
        (RUN + "CUBLAS failure 1: CUBLAS_STATUS_NOT_INITIALIZED", "cuBLAS failed", "driver for CUDA 13"),
        (RUN + f"CUDA failure 700: an illegal memory access was encountered {AT}", "CUDA failed", "driver for CUDA 13"),
        ("CUDA_PATH is set but CUDA wasnt able to be loaded", "CUDA failed", "driver for CUDA 13"),
    ],
)
def test_an_error_that_names_cuda_or_its_libraries_says_what_kind_it_is(message: str, problem: str, fix: str) -> None:
    failure = device_failure("m.onnx", message, 4)
    assert isinstance(failure, NoCudaError)
    assert problem in failure.problem
    assert fix in failure.fix
    assert failure.fix.endswith("or use --device cpu")


@pytest.mark.parametrize(
    "message",
    [
        cuda_stand_in.OUT_OF_MEMORY.format(room=1, wanted=2),
        RUN + f"CUDA failure 2: out of memory {AT}",
        RUN + "bfc_arena.cc: Failed to allocate memory for requested buffer of size 3355443200",
        RUN + "CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED",
        RUN + "CUDNN failure 4: CUDNN_STATUS_ALLOC_FAILED",
    ],
)
def test_too_little_memory_is_no_lack_of_cuda(message: str) -> None:
    failure = device_failure("m.onnx", message, 64)
    assert failure is not None
    assert not isinstance(failure, NoCudaError)
    assert (failure.subject, "batch 64" in failure.problem) == ("m.onnx", True)
    assert "--batch" in failure.fix
    assert "--gpus-per-worker" in failure.fix


@pytest.mark.parametrize(
    "message",
    [
        RUN + f"{SOURCES}/tensor/concat.cc:45 virtual onnxruntime::common::Status onnxruntime::cuda::Concat::"
        "ComputeInternal(onnxruntime::OpKernelContext*) const dims do not match",
        f"{SOURCES}/cuda_execution_provider_info.cc:63 static onnxruntime::CUDAExecutionProviderInfo Unknown option: x",
        "Non-zero status code returned while running Reshape node. Name:'cudnn cuda' Status Message: {2,8192}",
        "Could not find an implementation for Convolve(17) node with name 'x' for CUDAExecutionProvider",
        "Load model from /home/cuda/libcudnn/cublas.onnx failed:This is an invalid model",
        "",
    ],
)
def test_an_error_of_the_network_is_not_the_devices(message: str) -> None:
    assert device_failure("m.onnx", message, 4) is None


def test_what_cuda_said_is_told_without_where_it_was_said() -> None:
    failure = device_failure("m.onnx", CALL + OLD_DRIVER + f" {AT}", 4)
    assert failure is not None
    assert failure.problem == f"a CUDA session was asked for and could not be had (the driver is too old: {OLD_DRIVER})"
    full = device_failure("m.onnx", RUN + CALL + f"CUDA failure 2: out of memory {AT}", 4)
    assert full is not None
    assert full.problem.endswith("share of it (CUDA failure 2: out of memory)")


def test_two_builds_of_the_runtime_are_the_first_thing_to_mend() -> None:
    clash = "onnxruntime and onnxruntime-gpu"
    for error in (no_cuda("it did not load", clash=clash), device_failure("m.onnx", cuda_stand_in.NO_CUDNN, 4, clash)):
        assert error is not None
        assert error.fix == f"{clash} are both installed: uninstall both, then install onnxruntime-gpu alone"
