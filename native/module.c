/* What Python sees: pixels at 1/8; see baseline.h. */

#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030A0000
#include <Python.h>

#include "baseline.h"

#include <stdlib.h>
#include <string.h>

/* Memory for the samples of each component; 0: there is none, or the file is too short for them. */
static int make_room(Image *image) {
    size_t total = 0;
    for (unsigned i = 0; i < image->number; i++) {
        Component *one = &image->components[i];
        one->columns = image->mcu_columns * one->across * one->scale;
        one->rows = (size_t)(image->mcus / image->mcu_columns) * one->down * one->scale;
        total += one->columns * one->rows / one->scale / one->scale;
    }
    /* a block takes at least two bits */
    if (total / 4 > (size_t)(image->end - image->scan)) return 0;
    for (unsigned i = 0; i < image->number; i++) {
        Component *one = &image->components[i];
        one->samples = malloc(one->columns * one->rows);
        if (!one->samples) return 0;
    }
    return 1;
}

static uint8_t clamped(int value) { return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value); }

/* libjpeg's conversion from YCbCr (jdcolor.c), in numbers of 16 bits behind the point. */
static void to_rgb(int y, int cb, int cr, uint8_t *to) {
    cb -= 128, cr -= 128;
    to[0] = clamped(y + ((91881 * cr + 32768) >> 16));
    to[1] = clamped(y + ((-22554 * cb - 46802 * cr + 32768) >> 16));
    to[2] = clamped(y + ((116130 * cb + 32768) >> 16));
}

/* Samples of a row at full resolution: repeated, as libjpeg does at 1/8. */
static void stretch(const Image *image, const Component *one, size_t row, size_t width,
                    uint8_t *to) {
    size_t across = image->across / ((size_t)one->across * one->scale);
    size_t down = image->down / ((size_t)one->down * one->scale);
    const uint8_t *from = one->samples + row / down * one->columns;
    for (size_t x = 0, next = 0; x < width; next++)
        for (size_t i = 0; i < across && x < width; i++) to[x++] = from[next];
}

/* RGB, or gray as RGB, of the whole image; `line` is a buffer for three lines. */
static void color(const Image *image, size_t width, size_t height, uint8_t *line, uint8_t *to) {
    for (size_t row = 0; row < height; row++) {
        for (unsigned i = 0; i < image->number; i++)
            stretch(image, &image->components[i], row, width, line + i * width);
        for (size_t x = 0; x < width; x++, to += 3) {
            if (image->number == 3) to_rgb(line[x], line[x + width], line[x + 2 * width], to);
            else to[0] = to[1] = to[2] = line[x];
        }
    }
}

static int decoded(Image *image) {
    return read_headers(image) && make_room(image) && read_scan(image);
}

static PyObject *decode_eighth(PyObject *module, PyObject *argument) {
    char *data;
    Py_ssize_t length;
    int fine = 0;
    (void)module;
    if (PyBytes_AsStringAndSize(argument, &data, &length) < 0) return NULL;
    Image *image = calloc(1, sizeof *image);
    uint8_t *line = NULL;
    PyObject *pixels = NULL, *result = NULL;
#ifdef EXACT_COPY /* for sanitizers: bytes have a zero behind them */
    uint8_t *copy = malloc(length ? (size_t)length : 1);
    if (!copy) return NULL;
    data = memcpy(copy, data, (size_t)length);
#endif
    if (image) {
        image->data = (const uint8_t *)data, image->end = image->data + length;
        Py_BEGIN_ALLOW_THREADS
        fine = decoded(image);
        Py_END_ALLOW_THREADS
    }
    if (fine) {
        size_t width = (image->width + 7) / 8, height = (image->height + 7) / 8;
        line = malloc(3 * width);
        pixels = PyByteArray_FromStringAndSize(NULL, (Py_ssize_t)(3 * width * height));
        if (line && pixels) {
            uint8_t *to = (uint8_t *)PyByteArray_AsString(pixels);
            Py_BEGIN_ALLOW_THREADS
            color(image, width, height, line, to);
            Py_END_ALLOW_THREADS
            result = pixels, pixels = NULL;
        } else if (pixels) {
            PyErr_NoMemory();
        }
    } else {
        result = Py_None;
        Py_INCREF(result);
    }
    if (image)
        for (unsigned i = 0; i < MOST_COMPONENTS; i++) free(image->components[i].samples);
    Py_XDECREF(pixels);
#ifdef EXACT_COPY
    free(copy);
#endif
    free(line);
    free(image);
    return result;
}

static PyMethodDef methods[] = {
    {"decode_eighth", decode_eighth, METH_O,
     "decode_eighth(data)\n--\n\n"
     "Return RGB at 1/8 as a bytearray, or None: the file is left to libjpeg-turbo."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "_baseline", NULL, 0, methods, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__baseline(void) { return PyModule_Create(&definition); }
