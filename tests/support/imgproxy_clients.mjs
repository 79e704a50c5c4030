// Prints addresses that the URL builders of npm make, as JSON: [[client, address], …].
// node imgproxy_clients.mjs ENDPOINT KEY SALT SOURCE ENCRYPTION_KEY, in a folder with their packages.
import { generateImageInfoUrl, generateImageUrl } from "@imgproxy/imgproxy-node";
import bitpatty from "@bitpatty/imgproxy-url-builder";
import { Imgproxy } from "imgproxy";

const [endpoint, key, salt, source, encryptKey] = process.argv.slice(2);
const red = "f00";
const md5 = "0".repeat(32); // no picture has it
const base64 = (text) => Buffer.from(text).toString("base64url");
const center = { type: "no", x_offset: 1, y_offset: 2 };
const area = { left: 0.1, top: 0.2, width: 0.3, height: 0.4 };

// Every option of @imgproxy/imgproxy-node, by its types.
const nodeOptions = {
  adjust: { brightness: 10, contrast: 1.2, saturation: 0.8 },
  auto_rotate: true,
  autoquality: { method: "dssim", target: 0.03, min_quality: 60, max_quality: 70, allowed_error: 0.01 },
  avif_options: { subsample: "on" },
  background: { r: 255, g: 0, b: 9 },
  background_alpha: 0.5,
  blur: 2.5,
  blur_areas: { sigma: 2, areas: [area, area] },
  blur_detections: { sigma: 5, class_names: ["face"] },
  brightness: -20,
  bypass_cache: true,
  cachebuster: "abc",
  cache_tags: ["one", "two"],
  color_profile: "srgb",
  colorize: { opacity: 0.4, color: red, keepAlpha: true },
  contrast: 0.7,
  crop: { width: 100, height: 0.5, gravity: center },
  crop_aspect_ratio: { aspect_ratio: 1.5, enlarge: true },
  crop_objects: { scale_factor: 1.2, class_names: ["face"] },
  disable_animation: true,
  dpi: 150,
  dpr: 1.5,
  draw_detections: { draw: 1, class_names: ["face"] },
  duotone: { intensity: 0.8, color1: "000080", color2: "ffff00" },
  enforce_thumbnail: true,
  enlarge: 1,
  expires: 4000000000,
  extend: { extend: 1, gravity: center },
  extend_aspect_ratio: { extend: true, gravity: { type: "fp", x: 0.2, y: 0.8 } },
  fallback_image_url: base64(source),
  filename: { name: base64("a cat"), encoded: true },
  flip: { horizontal: true, vertical: false },
  format: "best",
  format_quality: [{ format: "jpg", quality: 70 }, { format: "webp", quality: 60 }],
  gradient: { opacity: 0.5, color: red, direction: "up", start: 0.1, stop: 0.9 },
  gravity: { type: "fp", x: 0.3, y: 0.7 },
  hashsum: { type: "md5", hashsum: md5 },
  height: 40,
  jpeg_options: {
    progressive: true, no_subsample: true, trellis_quant: true, overshoot_deringing: true, optimize_scans: true,
    quant_table: 3,
  },
  keep_copyright: true,
  max_animation_frame_resolution: 2,
  max_animation_frames: 3,
  max_bytes: 3000,
  max_result_dimension: 500,
  max_src_file_size: 100000,
  max_src_resolution: 5,
  min_height: 30,
  min_width: 30,
  monochrome: { intensity: 0.5, color: "b3b3b3" },
  objects_position: { type: "ce", xOffset: 1, yOffset: 2 },
  padding: { top: 1, right: 2, bottom: 3, left: 4 },
  page: 0,
  pages: 2,
  pixelate: 4,
  png_options: { interlaced: true, quantize: true, quantization_colors: 16 },
  preserve_hdr: true,
  preset: ["small", "sharp"],
  progressive_blur: { sigma: 3, direction: "left", start: 0, stop: 1 },
  quality: 60,
  raw: true,
  resize: { resizing_type: "fill", width: 60, height: 40, enlarge: 1, extend: { extend: 1, gravity: center } },
  resizing_algorithm: "cubic",
  resizing_type: "fill-down",
  return_attachment: true,
  rotate: 90,
  saturation: 0.5,
  sharpen: 0.7,
  size: { width: 60, height: 40, enlarge: true },
  skip_processing: ["gif", "svg"],
  strip_color_profile: true,
  strip_metadata: false,
  style: base64("rect{fill:red}"),
  trim: { threshold: 10, color: "ffffff", equal_hor: true, equal_ver: 1 },
  unsharp_masking: { mode: "always", weight: 1.5, divider: 20 },
  video_thumbnail_animation: { step: 1, delay: 50, frames: 3, frame_width: 10, frame_height: 10 },
  video_thumbnail_keyframes: true,
  video_thumbnail_second: 2,
  video_thumbnail_tile: { step: 1, columns: 2, rows: 2, tile_width: 10, tile_height: 10 },
  watermark: { opacity: 0.5, position: "soea", x_offset: 5, y_offset: -5, scale: 0.2 },
  watermark_rotate: 30,
  watermark_shadow: 3,
  watermark_size: { width: 20, height: 10 },
  watermark_text: base64("hello"),
  watermark_url: base64(source),
  webp_options: { compression: "lossless", smart_subsample: true, preset: "icon" },
  width: 60,
  zoom: { zoom_x: 1.5, zoom_y: 2 },
};
const nodeInfo = {
  alpha: { alpha: true, check_transparency: true },
  average: { average: 1, ignore_transparent: false },
  bands: true,
  blurhash: { x_components: 4, y_components: 3 },
  calcHashsums: ["md5", "sha256"],
  classify: { top_k: 2 },
  colorspace: true,
  crop: { width: 50, height: 50, gravity: { type: "ce" } },
  detect_objects: true,
  dimensions: false,
  dominant_colors: { dominant_colors: 1, build_missed: true },
  exif: { enabled: true, canonical_names: true },
  format: true,
  iptc: true,
  pages_number: true,
  palette: 4,
  perceptual_hash: true,
  sample_format: true,
  size: true,
  thumb_hash: true,
  video_meta: false,
  xmp: true,
};
// Every method of imgproxy and of @bitpatty/imgproxy-url-builder, with its arguments.
const imgproxyCalls = {
  resize: ["fill", 60, 40, true], size: [60, 40, true], resizingType: ["fill-down"], width: [60], height: [40],
  minWidth: [30], minHeight: [30], dpr: [1.5], enlarge: [1], gravity: [{ type: "soea", xOffset: 5, yOffset: 6 }],
  quality: [70], background: [{ r: 255, g: 0, b: 9 }], blur: [2.5], sharpen: [0.7],
  watermark: [0.5, "soea", { x: 5, y: 6 }, 0.2], preset: ["small", "sharp"], cacheBuster: ["abc"], format: ["webp"],
  maxBytes: [3000], expires: [4000000000], crop: [50, 40, { x: 0.2, y: 0.8 }], setOption: ["rot", "90"],
};
const bitpattyCalls = {
  adjust: [{ brightness: 100, contrast: 0.8, saturation: 0.9 }], autoRotate: [], background: [{ r: 255, g: 0, b: 0 }],
  backgroundAlpha: [0.4], blur: [10], blurDetections: [{ sigma: 10, classNames: ["face"] }], brightness: [-100],
  cacheBuster: ["abcdef123"], contrast: [0.3],
  crop: [{ width: 100, height: 50, gravity: { type: "ce", offset: { x: 20, y: 20 } } }], disableAnimation: [],
  dpi: [300], dpr: [1.5], drawDetections: [{ classNames: ["face"] }],
  duotone: [{ intensity: 1, color1: "ff0000", color2: "00ff00" }], enforceThumbnail: [], enlarge: [],
  expires: [4000000000], extend: [{ gravity: { type: "no", offset: { x: 10, y: 20 } } }],
  extendAspectRatio: [{ gravity: { type: "so" } }], fallbackImageUrl: [source], fileName: [base64("a cat"), true],
  format: ["png"], formatQuality: [{ jpeg: 90, png: 50, webp: 70 }],
  gradient: [{ opacity: 1, color: "ababab", direction: "up", start: 0, stop: 0.7 }],
  gravity: [{ type: "no", offset: { x: 10, y: 20 } }], hashsum: [{ hashsum: md5, type: "md5" }],
  jpegOptions: [{ progressive: true, noSubsample: true, trellisQuant: true, quantizationTable: 7 }], keepCopyright: [],
  maxBytes: [3000], minHeight: [30], minWidth: [30], monochrome: [{ intensity: 0.3, color: "ff0000" }],
  pad: [{ top: 5, right: 6, bottom: 7, left: 8 }], page: [0], pixelate: [5],
  pngOptions: [{ interlaced: true, quantize: true, quantizationColors: 10 }], preset: [["small", "sharp"]],
  quality: [80], raw: [], resize: [{ type: "fill", width: 60, height: 40 }], resizingAlgorithm: ["nearest"],
  returnAttachment: [], rotate: [90], saturation: [0.3], sharpen: [3], skipProcessing: [["png", "svg"]],
  stripColorProfile: [], stripMetadata: [], style: [{ fill: "red", width: "30px" }],
  trim: [{ threshold: 10, color: "ffffff", equal: { horizontal: true, vertical: true } }],
  unsharpen: [{ mode: "auto", weight: 11, dividor: 24 }], videoThumbnailKeyframes: [true], videoThumbnailSecond: [3],
  videoThumbnailTile: [{ step: 1, columns: 1, rows: 1, tileWidth: 50, tileHeight: 50 }],
  watermark: [{ opacity: 1, scale: 0.5, position: "we", offset: { x: 10, y: 10 } }], watermarkShadow: [10],
  watermarkSize: [{ width: 30, height: 30 }], watermarkText: ["my watermark"], watermarkUrl: [source], zoom: [1.5],
};

const found = [];
for (const pair of [{ key, salt }, {}]) {
  const kind = pair.key ? "signed" : "unsigned";
  const short = pair.key ? { signature: { ...pair } } : {};
  for (const type of ["base64", "plain", "encrypted"]) {
    const url = { value: source, displayAs: type };
    const gravity = { type: "sm" };
    const options = { resizing_type: "fill", width: 60, height: 40, gravity, enlarge: 1, format: "png" };
    const made = generateImageUrl({ endpoint, url, options, ...pair, encryptKey, encryptIV: md5 });
    found.push([`@imgproxy/imgproxy-node ${kind} ${type}`, made]);
  }
  for (const plain of [false, true]) {
    const type = plain ? "plain" : "base64";
    const built = new Imgproxy({ baseUrl: endpoint, encode: !plain, ...pair }).builder();
    found.push([`imgproxy ${kind} ${type}`, built.resize("fill", 60, 40, 0).gravity("no").generateUrl(source, "png")]);
    const params = bitpatty().resize({ type: "fill", width: 60, height: 40 }).quality(80).format("png");
    const made = params.build({ path: source, baseUrl: endpoint, plain, ...short });
    found.push([`@bitpatty/imgproxy-url-builder ${kind} ${type}`, made]);
  }
}
for (const [name, value] of Object.entries(nodeOptions)) {
  const made = generateImageUrl({ endpoint, url: source, options: { [name]: value }, key, salt });
  found.push([`@imgproxy/imgproxy-node ${name}`, made]);
}
for (const [name, value] of Object.entries(nodeInfo)) {
  const made = generateImageInfoUrl({ endpoint, url: source, options: { [name]: value }, key, salt });
  found.push([`@imgproxy/imgproxy-node info ${name}`, made]);
}
for (const [name, args] of Object.entries(imgproxyCalls)) {
  const builder = new Imgproxy({ baseUrl: endpoint, key, salt }).builder();
  found.push([`imgproxy ${name}`, builder[name](...args).generateUrl(source)]);
}
for (const [name, args] of Object.entries(bitpattyCalls)) {
  const signature = { key, salt };
  const made = bitpatty()[name](...args).build({ path: source, baseUrl: endpoint, signature });
  found.push([`@bitpatty/imgproxy-url-builder ${name}`, made]);
}
console.log(JSON.stringify(found));
