"""Augment training images: random changes of framing, contrast, sharpness and markers.

The changes leave the finding and hide the features that reveal the source. All functions take and return float32
images of shape (batch, height, width, 1), values 0–1. They draw from a stateless seed of shape (2,), so that a
training run repeats bit by bit.
"""

import math

import tensorflow as tf

from cxrbatch.training.recipe import AugmentSpec


def augment(images: tf.Tensor, seed: tf.Tensor, spec: AugmentSpec) -> tf.Tensor:
    """Apply all random changes of `spec`; channels after the first, such as a mask, are moved but not changed."""
    seeds = tf.unstack(tf.random.split(seed, 7))
    moved = geometry(images, seeds[0], spec)
    return tf.concat([_change_greys(moved[..., :1], seeds, spec), moved[..., 1:]], axis=-1)


def _change_greys(images: tf.Tensor, seeds: list[tf.Tensor], spec: AugmentSpec) -> tf.Tensor:
    images = shading(images, seeds[6], spec)
    images = contrast(images, seeds[1], spec)
    if spec.least_resolution < 1:
        images = sharpness(images, seeds[2], spec)
    images = noise(images, seeds[3], spec)
    images = rectangles(images, seeds[4], spec.n_erased, size=spec.erased_size)
    return rectangles(images, seeds[5], spec.n_markers, size=spec.marker_size, brightest=True)


def geometry(images: tf.Tensor, seed: tf.Tensor, spec: AugmentSpec) -> tf.Tensor:
    """Flip, rotate, scale each axis and shift each image, in one resampling."""
    n, height, width = tf.shape(images)[0], images.shape[1], images.shape[2]
    u = tf.random.stateless_uniform((6, n), seed, -1.0, 1.0)
    angle = u[0] * math.radians(spec.rotate_degrees)
    zoom = tf.exp(u[1] * spec.log_scale)
    aspect = tf.exp(u[2] * spec.log_aspect)
    flip = tf.where(u[3] < 0, -1.0, 1.0) if spec.flip else tf.ones(n)
    cos, sin = tf.cos(angle), tf.sin(angle)
    matrix = (cos * zoom * aspect * flip, -sin * zoom, sin * zoom * aspect * flip, cos * zoom)
    centre_x, centre_y = (width - 1) / 2, (height - 1) / 2
    shift_x = centre_x + u[4] * spec.shift * width - matrix[0] * centre_x - matrix[1] * centre_y
    shift_y = centre_y + u[5] * spec.shift * height - matrix[2] * centre_x - matrix[3] * centre_y
    zeros = tf.zeros(n)
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=tf.stack([matrix[0], matrix[1], shift_x, matrix[2], matrix[3], shift_y, zeros, zeros], 1),
        output_shape=(height, width),
        interpolation="BILINEAR",
        fill_mode="REFLECT",
        fill_value=0.0,
    )


def shading(images: tf.Tensor, seed: tf.Tensor, spec: AugmentSpec) -> tf.Tensor:
    """Add a linear and a quadratic brightness gradient to each image, as heel effect, grid and scatter do."""
    u = tf.random.stateless_normal((3, tf.shape(images)[0], 1, 1, 1), seed, stddev=spec.shading)
    y = tf.reshape(tf.linspace(-1.0, 1.0, images.shape[1]), (1, -1, 1, 1))
    x = tf.reshape(tf.linspace(-1.0, 1.0, images.shape[2]), (1, 1, -1, 1))
    return tf.clip_by_value(images + u[0] * x + u[1] * y + u[2] * (x * x + y * y - 2 / 3), 0.0, 1.0)


def contrast(images: tf.Tensor, seed: tf.Tensor, spec: AugmentSpec) -> tf.Tensor:
    """Change the grey-value curve of each image: gamma, gain, offset."""
    u = tf.random.stateless_normal((3, tf.shape(images)[0], 1, 1, 1), seed)
    images = tf.pow(tf.maximum(images, 1e-6), tf.exp(u[0] * spec.log_gamma))
    images = (images - 0.5) * tf.exp(u[1] * spec.log_gain) + 0.5 + u[2] * spec.offset
    return tf.clip_by_value(images, 0.0, 1.0)


def sharpness(images: tf.Tensor, seed: tf.Tensor, spec: AugmentSpec) -> tf.Tensor:
    """Blur or sharpen each image: remove or add part of the detail that a random lower resolution loses."""
    seeds = tf.unstack(tf.random.split(seed, 2))
    shape = tf.shape(images)
    factor = tf.random.stateless_uniform((), seeds[0], spec.least_resolution, 0.9)
    small = tf.cast(tf.cast(shape[1:3], tf.float32) * factor, tf.int32)
    coarse = tf.image.resize(tf.image.resize(images, small, antialias=True), shape[1:3])
    amount = tf.random.stateless_uniform((shape[0], 1, 1, 1), seeds[1], -spec.sharpen, 1.0)
    mixed = images + amount * (tf.reshape(coarse, shape) - images)
    return tf.ensure_shape(tf.clip_by_value(mixed, 0.0, 1.0), images.shape)


def noise(images: tf.Tensor, seed: tf.Tensor, spec: AugmentSpec) -> tf.Tensor:
    """Add white noise of a random strength."""
    seeds = tf.unstack(tf.random.split(seed, 2))
    strength = tf.random.stateless_uniform((tf.shape(images)[0], 1, 1, 1), seeds[0], 0.0, spec.noise)
    grains = tf.random.stateless_normal(tf.shape(images), seeds[1])
    return tf.clip_by_value(images + strength * grains, 0.0, 1.0)


def rectangles(
    images: tf.Tensor, seed: tf.Tensor, count: int, *, size: float, brightest: bool = False
) -> tf.Tensor:
    """Paint up to `count` rectangles (each with probability ½) with sides up to `size` of the image's sides.

    Centres reach the border and the corners, where letters, arrows and frames are found. The grey value is random, or
    1 with `brightest`.
    """
    for one in tf.unstack(tf.random.split(seed, count)) if count else []:
        u = tf.random.stateless_uniform((6, tf.shape(images)[0], 1, 1, 1), one)
        rows = tf.reshape(tf.linspace(0.0, 1.0, images.shape[1]), (1, -1, 1, 1))
        columns = tf.reshape(tf.linspace(0.0, 1.0, images.shape[2]), (1, 1, -1, 1))
        inside = (tf.abs(rows - u[0]) < u[1] * size / 2) & (tf.abs(columns - u[2]) < u[3] * size / 2)
        fill = tf.ones_like(u[4]) if brightest else u[4]
        images = tf.where(inside & (u[5] < 0.5), fill, images)
    return images
