//! The fields of a WriteRequest, each looked at once and none copied: write_fields.py says what for.
//!
//! Compiled with bounds checks: what this reads was sent by anybody.

const std = @import("std");

const timeseries_tag = 1 << 3 | 2;
const metadata_tag = 3 << 3 | 2;
const known_samples_field = 16;

/// 12 10 09 <the 8 bytes of the value> 10 <a varint of 6 bytes: ms>
const sample_bytes = 18;
/// 12 07 10 <..>, for a value of 0
const zero_bytes = 9;

const Kind = enum(u32) { unknown, message, sample, foreign };

/// As FIELD of write_fields.py. What follows `kind` is only set for samples.
const Field = extern struct {
    start: u32,
    end: u32,
    head_start: u32 = 0,
    head_end: u32 = 0,
    hash: u64 = 0,
    time_ms: u64 = 0,
    value: u64 = 0,
    kind: Kind = .unknown,
    unused: u32 = 0,
};

/// Describe fields from `position` on, as many as there is room for, and move it behind them.
/// Returns how many, or -1 where `position` is not at a field of a protobuf message.
export fn write_fields(
    message: [*]const u8,
    size: usize,
    position: *usize,
    seed: u64,
    found: [*]Field,
    room: usize,
) isize {
    var reader = Reader{ .bytes = message[0..size], .position = position.* };
    var count: usize = 0;
    while (reader.position < size and count < room) : (count += 1) {
        found[0..room][count] = reader.field(seed) orelse return -1;
        position.* = reader.position;
    }
    return @intCast(count);
}

const Reader = struct {
    bytes: []const u8,
    position: usize,

    fn field(self: *Reader, seed: u64) ?Field {
        const start = self.position;
        const tag = self.varint() orelse return null;
        if (tag >> 3 == 0 or tag >> 32 != 0) return null;
        const length = switch (tag & 7) {
            0 => if (self.varint()) |_| 0 else return null,
            1 => 8,
            2 => self.varint() orelse return null,
            5 => 4,
            else => return null,
        };
        if (length > self.bytes.len - self.position) return null;
        const content = self.position;
        self.position += @intCast(length);
        var found = Field{ .start = @intCast(start), .end = @intCast(self.position) };
        switch (tag) {
            timeseries_tag => self.look_for_sample(&found, content, seed),
            metadata_tag => found.kind = .message,
            else => if (tag >> 3 == known_samples_field) {
                found.kind = .foreign;
            },
        }
        return found;
    }

    /// Whether a TimeSeries ends with one plain sample, and what is before it.
    fn look_for_sample(self: *Reader, found: *Field, start: usize, seed: u64) void {
        found.kind = .message;
        const end = self.position;
        if (end - start <= zero_bytes) return;
        const last = self.word(end - 8);
        if (last & 0x808080808080FF00 != 0x0080808080801000) return;
        const head_end = if (end - start > sample_bytes and
            self.word(end - sample_bytes) & 0xFFFFFF == 0x091012)
            end - sample_bytes
        else if (self.word(end - zero_bytes) & 0xFFFFFF == 0x100712)
            end - zero_bytes
        else
            return;
        found.kind = .sample;
        found.head_start = @intCast(start);
        found.head_end = @intCast(head_end);
        found.hash = std.hash.Wyhash.hash(seed, self.bytes[start..head_end]);
        if (head_end == end - sample_bytes) found.value = self.word(end - 15);
        inline for (0..6) |place| {
            found.time_ms |= (last >> (16 + 8 * place) & 0x7F) << 7 * place;
        }
    }

    fn varint(self: *Reader) ?u64 {
        var value: u64 = 0;
        for (0..10) |place| {
            if (self.position == self.bytes.len) return null;
            const byte = self.bytes[self.position];
            self.position += 1;
            if (place == 9 and byte > 1) return null;
            value |= @as(u64, byte & 0x7F) << @intCast(7 * place);
            if (byte < 0x80) return value;
        }
        return null;
    }

    fn word(self: *Reader, position: usize) u64 {
        return std.mem.readInt(u64, self.bytes[position..][0..8], .little);
    }
};
