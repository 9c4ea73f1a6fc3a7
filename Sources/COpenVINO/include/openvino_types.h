// The types of OpenVINO's C API that this package uses, declared anew so that it builds where
// OpenVINO is absent. A test compiles them against the headers of the runtime.
#ifndef STREAMFLOW_OPENVINO_TYPES_H
#define STREAMFLOW_OPENVINO_TYPES_H

#include <stddef.h>
#include <stdint.h>

typedef enum { OPENVINO_OK = 0, OPENVINO_GENERAL_ERROR = -1 } ov_status_e;

// The element types are numbered differently by other releases; Runtime checks the release.
typedef enum {
  OPENVINO_BOOLEAN = 1,
  OPENVINO_BF16 = 2,
  OPENVINO_F16 = 3,
  OPENVINO_F32 = 4,
  OPENVINO_F64 = 5,
  OPENVINO_I8 = 7,
  OPENVINO_I16 = 8,
  OPENVINO_I32 = 9,
  OPENVINO_I64 = 10,
  OPENVINO_U8 = 16,
  OPENVINO_U16 = 17,
  OPENVINO_U32 = 18,
  OPENVINO_U64 = 19,
  OPENVINO_F8E4M3 = 21,
  OPENVINO_F8E5M2 = 22
} ov_element_type_e;

typedef struct {
  int64_t rank;
  int64_t *dims;
} ov_shape_t;

typedef struct ov_version {
  const char *buildNumber;
  const char *description;
} ov_version_t;

typedef struct {
  char **devices;
  size_t size;
} ov_available_devices_t;

typedef struct {
  const char *key;
  const void *value;
} ov_property_t;

typedef struct {
  enum { OPENVINO_NOT_RUN, OPENVINO_OPTIMIZED_OUT, OPENVINO_EXECUTED } status;
  int64_t real_time;
  int64_t cpu_time;
  const char *node_name;
  const char *exec_type;
  const char *node_type;
} ov_profiling_info_t;

typedef struct {
  ov_profiling_info_t *profiling_infos;
  size_t size;
} ov_profiling_info_list_t;

typedef struct ov_core ov_core_t;
typedef struct ov_model ov_model_t;
typedef struct ov_compiled_model ov_compiled_model_t;
typedef struct ov_infer_request ov_infer_request_t;
typedef struct ov_tensor ov_tensor_t;

#endif
