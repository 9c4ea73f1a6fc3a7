// A zip archive without compression: images are compressed already.

const table = Uint32Array.from({ length: 256 }, (_, index) => {
  let value = index;
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value >>> 0;
});

/** The CRC-32 of bytes. */
export function checksum(bytes) {
  let value = 0xffffffff;
  for (const byte of bytes) value = (value >>> 8) ^ table[(value ^ byte) & 0xff];
  return ~value >>> 0;
}

// The common fields of a local header and a directory entry.
function common(view, start, { nameBytes, bytes, crc }, date) {
  const time = date.getHours() << 11 | date.getMinutes() << 5 | date.getSeconds() >> 1;
  const day = Math.max(0, date.getFullYear() - 1980) << 9 | date.getMonth() + 1 << 5 | date.getDate();
  view.setUint16(start, 20, true);          // Requires version 2.0.
  view.setUint16(start + 2, 0x0800, true);  // Names are UTF-8.
  view.setUint16(start + 6, time, true);
  view.setUint16(start + 8, day, true);
  view.setUint32(start + 10, crc, true);
  view.setUint32(start + 14, bytes.length, true);
  view.setUint32(start + 18, bytes.length, true);
  view.setUint16(start + 22, nameBytes.length, true);
}

/**
 * Creates an archive.
 *
 * @param {{name: string, bytes: Uint8Array}[]} files at most 65,535, less than 4 GiB in total
 * @param {Date} date their modification time
 * @returns {Blob} the archive
 */
export function zip(files, date = new Date()) {
  const parts = [];
  const directory = [];
  let offset = 0;
  for (const { name, bytes } of files) {
    const entry = { nameBytes: new TextEncoder().encode(name), bytes, crc: checksum(bytes) };
    const head = new DataView(new ArrayBuffer(30));
    head.setUint32(0, 0x04034b50, true);
    common(head, 4, entry, date);
    const row = new DataView(new ArrayBuffer(46));
    row.setUint32(0, 0x02014b50, true);
    row.setUint16(4, 20, true);
    common(row, 6, entry, date);
    row.setUint32(42, offset, true);
    parts.push(head, entry.nameBytes, bytes);
    directory.push(row, entry.nameBytes);
    offset += head.byteLength + entry.nameBytes.length + bytes.length;
  }
  const end = new DataView(new ArrayBuffer(22));
  end.setUint32(0, 0x06054b50, true);
  end.setUint16(8, files.length, true);
  end.setUint16(10, files.length, true);
  end.setUint32(12, directory.reduce((sum, part) => sum + part.byteLength, 0), true);
  end.setUint32(16, offset, true);
  return new Blob([...parts, ...directory, end], { type: "application/zip" });
}
