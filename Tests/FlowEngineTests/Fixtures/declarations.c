// Compiled by RuntimeTests, never linked: the shim's declarations against OpenVINO's own headers.
#include <openvino/c/openvino.h>

// First, the functions: with the official types, each pointer must have the official type.
#define OPENVINO_TYPES_ARE_OFFICIAL
#include "openvino_runtime.h"

#define SAME(result, name, parameters)                                                       \
  _Static_assert(__builtin_types_compatible_p(__typeof__(&name),                             \
                                              __typeof__(((openvino_functions *)0)->name)),  \
                 #name " is declared otherwise");
OPENVINO_FUNCTIONS(SAME)

// Then the types: the shim's own under other names, in size, place and value.
#define ov_status_e shim_status_e
#define ov_element_type_e shim_element_type_e
#define ov_shape_t shim_shape_t
#define ov_version shim_version
#define ov_version_t shim_version_t
#define ov_available_devices_t shim_available_devices_t
#define ov_property_t shim_property_t
#define ov_profiling_info_t shim_profiling_info_t
#define ov_profiling_info_list_t shim_profiling_info_list_t
#include "openvino_types.h"
#undef ov_status_e
#undef ov_element_type_e
#undef ov_shape_t
#undef ov_version
#undef ov_version_t
#undef ov_available_devices_t
#undef ov_property_t
#undef ov_profiling_info_t
#undef ov_profiling_info_list_t

#define SAME_SIZE(ours, theirs) _Static_assert(sizeof(ours) == sizeof(theirs), #theirs)
#define SAME_PLACE(ours, theirs, member)                                       \
  _Static_assert(offsetof(ours, member) == offsetof(theirs, member) &&         \
                     __builtin_types_compatible_p(__typeof__(((ours *)0)->member), \
                                                  __typeof__(((theirs *)0)->member)), \
                 #theirs "." #member)
#define SAME_VALUE(ours, theirs) _Static_assert((int)(ours) == (int)(theirs), #theirs)

SAME_SIZE(shim_status_e, ov_status_e);
SAME_SIZE(shim_element_type_e, ov_element_type_e);
SAME_SIZE(shim_shape_t, ov_shape_t);
SAME_SIZE(shim_version_t, ov_version_t);
SAME_SIZE(shim_available_devices_t, ov_available_devices_t);
SAME_SIZE(shim_property_t, ov_property_t);
SAME_PLACE(shim_shape_t, ov_shape_t, rank);
SAME_PLACE(shim_shape_t, ov_shape_t, dims);
SAME_PLACE(shim_version_t, ov_version_t, buildNumber);
SAME_PLACE(shim_version_t, ov_version_t, description);
SAME_PLACE(shim_available_devices_t, ov_available_devices_t, devices);
SAME_PLACE(shim_available_devices_t, ov_available_devices_t, size);
SAME_PLACE(shim_property_t, ov_property_t, key);
SAME_PLACE(shim_property_t, ov_property_t, value);
SAME_SIZE(shim_profiling_info_t, ov_profiling_info_t);
SAME_PLACE(shim_profiling_info_t, ov_profiling_info_t, real_time);
SAME_PLACE(shim_profiling_info_t, ov_profiling_info_t, cpu_time);
SAME_PLACE(shim_profiling_info_t, ov_profiling_info_t, node_name);
SAME_PLACE(shim_profiling_info_t, ov_profiling_info_t, exec_type);
SAME_PLACE(shim_profiling_info_t, ov_profiling_info_t, node_type);
SAME_SIZE(shim_profiling_info_list_t, ov_profiling_info_list_t);
SAME_VALUE(offsetof(shim_profiling_info_list_t, size), offsetof(ov_profiling_info_list_t, size));
SAME_VALUE(OPENVINO_OK, OK);
SAME_VALUE(OPENVINO_GENERAL_ERROR, GENERAL_ERROR);
SAME_VALUE(OPENVINO_BOOLEAN, BOOLEAN);
SAME_VALUE(OPENVINO_BF16, BF16);
SAME_VALUE(OPENVINO_F16, F16);
SAME_VALUE(OPENVINO_F32, F32);
SAME_VALUE(OPENVINO_F64, F64);
SAME_VALUE(OPENVINO_I8, I8);
SAME_VALUE(OPENVINO_I16, I16);
SAME_VALUE(OPENVINO_I32, I32);
SAME_VALUE(OPENVINO_I64, I64);
SAME_VALUE(OPENVINO_U8, U8);
SAME_VALUE(OPENVINO_U16, U16);
SAME_VALUE(OPENVINO_U32, U32);
SAME_VALUE(OPENVINO_U64, U64);
SAME_VALUE(OPENVINO_F8E4M3, F8E4M3);
SAME_VALUE(OPENVINO_F8E5M2, F8E5M3);
