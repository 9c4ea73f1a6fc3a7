// A table of the functions of OpenVINO's C API that this package calls, filled at run time.
#ifndef STREAMFLOW_OPENVINO_RUNTIME_H
#define STREAMFLOW_OPENVINO_RUNTIME_H

#ifndef OPENVINO_TYPES_ARE_OFFICIAL
#include "openvino_types.h"
#endif

#ifdef __clang__
// Only the table's own members are annotated: a loaded table has no empty place.
#pragma clang diagnostic ignored "-Wnullability-completeness"
#else
#define _Nonnull
#define _Nullable
#endif

// FUNCTION(result, name, parameters)
#define OPENVINO_FUNCTIONS(FUNCTION)                                                              \
  FUNCTION(const char *, ov_get_last_err_msg, (void))                                             \
  FUNCTION(const char *, ov_get_error_info, (ov_status_e status))                                 \
  FUNCTION(void, ov_free, (const char *content))                                                  \
  FUNCTION(ov_status_e, ov_get_openvino_version, (ov_version_t * version))                        \
  FUNCTION(void, ov_version_free, (ov_version_t * version))                                       \
  FUNCTION(ov_status_e, ov_core_create, (ov_core_t * *core))                                      \
  FUNCTION(void, ov_core_free, (ov_core_t * core))                                                \
  FUNCTION(ov_status_e, ov_core_get_available_devices,                                            \
           (const ov_core_t *core, ov_available_devices_t *devices))                              \
  FUNCTION(void, ov_available_devices_free, (ov_available_devices_t * devices))                   \
  FUNCTION(ov_status_e, ov_core_get_property,                                                     \
           (const ov_core_t *core, const char *device, const char *key, char **value))            \
  FUNCTION(ov_status_e, ov_core_set_properties,                                                   \
           (const ov_core_t *core, const char *device, const size_t count,                        \
            const ov_property_t *properties))                                                     \
  FUNCTION(ov_status_e, ov_core_read_model_from_memory_buffer,                                    \
           (const ov_core_t *core, const char *bytes, const size_t count,                         \
            const ov_tensor_t *weights, ov_model_t **model))                                      \
  FUNCTION(void, ov_model_free, (ov_model_t * model))                                             \
  FUNCTION(ov_status_e, ov_core_compile_model_props,                                              \
           (const ov_core_t *core, const ov_model_t *model, const char *device,                   \
            const size_t count, const ov_property_t *properties, ov_compiled_model_t **compiled)) \
  FUNCTION(ov_status_e, ov_core_import_model,                                                     \
           (const ov_core_t *core, const char *bytes, const size_t count, const char *device,     \
            ov_compiled_model_t **compiled))                                                      \
  FUNCTION(ov_status_e, ov_compiled_model_export_model,                                           \
           (const ov_compiled_model_t *compiled, const char *path))                               \
  FUNCTION(ov_status_e, ov_compiled_model_get_property,                                           \
           (const ov_compiled_model_t *compiled, const char *key, char **value))                  \
  FUNCTION(ov_status_e, ov_compiled_model_inputs_size,                                            \
           (const ov_compiled_model_t *compiled, size_t *count))                                  \
  FUNCTION(ov_status_e, ov_compiled_model_outputs_size,                                           \
           (const ov_compiled_model_t *compiled, size_t *count))                                  \
  FUNCTION(void, ov_compiled_model_free, (ov_compiled_model_t * compiled))                        \
  FUNCTION(ov_status_e, ov_compiled_model_create_infer_request,                                   \
           (const ov_compiled_model_t *compiled, ov_infer_request_t **request))                   \
  FUNCTION(ov_status_e, ov_infer_request_set_input_tensor_by_index,                               \
           (ov_infer_request_t * request, const size_t index, const ov_tensor_t *tensor))         \
  FUNCTION(ov_status_e, ov_infer_request_set_output_tensor_by_index,                              \
           (ov_infer_request_t * request, const size_t index, const ov_tensor_t *tensor))         \
  FUNCTION(ov_status_e, ov_infer_request_infer, (ov_infer_request_t * request))                   \
  FUNCTION(ov_status_e, ov_infer_request_get_profiling_info,                                      \
           (const ov_infer_request_t *request, ov_profiling_info_list_t *kernels))                \
  FUNCTION(void, ov_profiling_info_list_free, (ov_profiling_info_list_t * kernels))               \
  FUNCTION(void, ov_infer_request_free, (ov_infer_request_t * request))                           \
  FUNCTION(ov_status_e, ov_tensor_create_from_host_ptr,                                           \
           (const ov_element_type_e type, const ov_shape_t shape, void *memory,                   \
            ov_tensor_t **tensor))                                                                \
  FUNCTION(void, ov_tensor_free, (ov_tensor_t * tensor))

#define OPENVINO_MEMBER(result, name, parameters) result(*_Nonnull name) parameters;
typedef struct {
  OPENVINO_FUNCTIONS(OPENVINO_MEMBER)
} openvino_functions;
#undef OPENVINO_MEMBER

/// Loads OpenVINO's C library and fills the table, once for a process: the library is never closed.
///
/// Returns null, or the loader's words for what is wrong, good until this thread's next call.
const char *_Nullable openvino_load(const char *_Nonnull path, openvino_functions *_Nonnull table);

#endif
