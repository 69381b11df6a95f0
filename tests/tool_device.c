/* tool_device.c: see tool_device.h. */
#include "tool_device.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tool_run.h"

int tool_check_device(void)
{
    if (tool_enter_directory(NULL) != 0)
        return 1;
    tool_run("info");
    const int none = tool.exit_status == 1;
    return tool_leave_directory(NULL) != 0 ? 1 : none ? 77 : 0;
}

json_t *tool_find_device(void)
{
    size_t i = 0, k = 0;
    json_t *platform = NULL, *device = NULL;
    tool_run("info --json");
    json_t *facts = json_loads(tool.out, 0, NULL);
    assert_non_null(facts);
    const char *index = json_string_value(json_object_get(facts, "default_device"));
    json_t *found = NULL;
    json_array_foreach(json_object_get(facts, "platforms"), i, platform)
    {
        json_array_foreach(json_object_get(platform, "devices"), k, device)
        {
            if (index && strcmp(json_string_value(json_object_get(device, "index")), index) == 0)
                found = json_incref(device);
        }
    }
    json_decref(facts);
    return found;
}

int tool_has_fp64(void)
{
    json_t *device = tool_find_device();
    int has = json_is_true(json_object_get(device, "fp64"));
    json_decref(device);
    return has;
}

void tool_get_plan_value(int number, const char *key, char value[256])
{
    const char *line = tool.out;
    for (int i = 0; i < number; i++) {
        line = strchr(line, '\n');
        assert_non_null(line);
        line++;
    }
    size_t length = strlen(key);
    assert_memory_equal(line, key, length);
    assert_memory_equal(line + length, ": ", 2);
    size_t size = strcspn(line + length + 2, "\n");
    assert_true(size > 0 && size < 256);
    memcpy(value, line + length + 2, size);
    value[size] = 0;
}
