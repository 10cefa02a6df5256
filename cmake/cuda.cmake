# The CUDA compiler, where -DSEEDBED_CUDA=ON asks for it (preset gpu). Without, everything builds and the kernels are tested on
# the host (tests/simt), for which CUDA's headers suffice.
option(SEEDBED_CUDA "build the kernels for NVIDIA GPUs; needs nvcc" OFF)
set(SEEDBED_CUDA_ARCHITECTURES "80-real;89-real;90a-real" CACHE STRING "what nvcc builds for")
if(SEEDBED_CUDA)
  include(CheckLanguage)
  if(NOT CMAKE_CUDA_COMPILER AND NOT DEFINED ENV{CUDACXX} AND EXISTS /usr/local/cuda/bin/nvcc)
    set(CMAKE_CUDA_COMPILER /usr/local/cuda/bin/nvcc)
  endif()
  check_language(CUDA)
  if(NOT CMAKE_CUDA_COMPILER)
    message(FATAL_ERROR "SEEDBED_CUDA=ON: nvcc was not found; set CUDACXX to it, or leave SEEDBED_CUDA off")
  endif()
  set(CMAKE_CUDA_ARCHITECTURES ${SEEDBED_CUDA_ARCHITECTURES})
  enable_language(CUDA)
  # CMake 3.25 does not know how nvcc 13 is told the standard, and silently tells it nothing.
  set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION "-std=c++20")
  set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION "-std=c++20")
  set(CMAKE_CUDA_STANDARD 20)
  if(CCACHE)
    set(CMAKE_CUDA_COMPILER_LAUNCHER ${CCACHE})
  endif()
  find_package(CUDAToolkit REQUIRED)
endif()

# SEEDBED_CUDA_INCLUDE: the folder of cuda_runtime.h, cuda_bf16.h and cuda_fp8.h, from a toolkit or from the wheel that holds
# them (nvidia-cuda-runtime, unpacked into build/cuda-headers). Empty: the kernels are not tested on the host.
find_path(SEEDBED_CUDA_INCLUDE cuda_fp8.h
  HINTS ${CUDAToolkit_INCLUDE_DIRS} $ENV{CUDA_HOME}/include $ENV{CUDA_PATH}/include
  PATHS /usr/local/cuda/include ${CMAKE_SOURCE_DIR}/build/cuda-headers/nvidia/cu13/include
  DOC "CUDA's headers, for the kernels' tests on the host")
