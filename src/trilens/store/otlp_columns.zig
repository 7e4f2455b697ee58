//! Messages of OTLP as blocks of columns: otlp_columns.py says what for.
//!
//!     Reader    fields of a protobuf message     AnyValue   one value, and its text
//!     Texts, Names, Numbers, ..                  columns, as the Native format has them
//!     Record(..), List(..)                       columns made of columns: a message, a repeated one
//!     Blocks    a request, walked record by record, until a block is full
//!
//! A column has `name`, its type in SQL; `add`, for each time its field comes; and `end`, when its
//! message ends. Compiled with bounds checks, but a failed one would end the process: what is read
//! may be anything, so every read asks first.

const std = @import("std");

const gpa = std.heap.page_allocator;
const Bytes = std.ArrayList(u8);

const Failure = error{ Malformed, OutOfMemory };

/// A block ends after the record that makes it this large, or has this many.
const block_bytes = 2 << 20;
const block_records_max = 16384;

/// Of AnyValues in each other. A receiver takes no more than 100 messages in each other.
const levels_max = 100;

/// The wire types of protobuf.
const Wire = enum(u3) { varint, fixed64, bytes, group, group_end, fixed32, _ };

const Field = struct {
    number: u64,
    wire: Wire,
    /// Of a varint, fixed64 or fixed32.
    value: u64 = 0,
    /// Of bytes.
    content: []const u8 = "",
};

const Reader = struct {
    bytes: []const u8,
    position: usize = 0,

    fn next(self: *Reader) Failure!?Field {
        if (self.position == self.bytes.len) return null;
        const tag = try self.varint();
        if (tag >> 3 == 0 or tag >> 32 != 0) return error.Malformed;
        var field = Field{ .number = tag >> 3, .wire = @fromBackingInt(@intCast(tag & 7)) };
        switch (field.wire) {
            .varint => field.value = try self.varint(),
            .fixed64 => field.value = std.mem.readInt(u64, (try self.take(8))[0..8], .little),
            .fixed32 => field.value = std.mem.readInt(u32, (try self.take(4))[0..4], .little),
            .bytes => field.content = try self.take(try self.varint()),
            .group => try self.skip_group(),
            else => return error.Malformed,
        }
        return field;
    }

    /// Nobody uses groups any more, but they are protobuf.
    fn skip_group(self: *Reader) Failure!void {
        var open: usize = 1;
        while (open > 0) {
            const tag = try self.varint();
            switch (@as(Wire, @fromBackingInt(@intCast(tag & 7)))) {
                .varint => _ = try self.varint(),
                .fixed64 => _ = try self.take(8),
                .fixed32 => _ = try self.take(4),
                .bytes => _ = try self.take(try self.varint()),
                .group => open += 1,
                .group_end => open -= 1,
                else => return error.Malformed,
            }
        }
    }

    fn take(self: *Reader, count: u64) Failure![]const u8 {
        if (count > self.bytes.len - self.position) return error.Malformed;
        const start = self.position;
        self.position += @intCast(count);
        return self.bytes[start..self.position];
    }

    inline fn varint(self: *Reader) Failure!u64 {
        if (self.position < self.bytes.len and self.bytes[self.position] < 0x80) {
            self.position += 1;
            return self.bytes[self.position - 1];
        }
        return self.long_varint();
    }

    fn long_varint(self: *Reader) Failure!u64 {
        var value: u64 = 0;
        for (0..10) |place| {
            if (self.position == self.bytes.len) return error.Malformed;
            const byte = self.bytes[self.position];
            self.position += 1;
            // Of the tenth one bit counts.
            value |= @as(u64, byte & 0x7F) << @intCast(7 * place);
            if (byte < 0x80) return value;
        }
        return error.Malformed;
    }
};

/// The numbers of the fields of an AnyValue: also what `attribute_types` has.
const Kind = enum(u8) { none, text, boolean, integer, double, array, pairs, bytes };

const AnyValue = struct {
    kind: Kind = .none,
    number: u64 = 0,
    content: []const u8 = "",

    /// Of several values the last counts.
    fn read(self: *AnyValue, message: []const u8) Failure!void {
        var reader = Reader{ .bytes = message };
        while (try reader.next()) |field| {
            if (field.number > @backingInt(Kind.bytes)) continue;
            const kind: Kind = @fromBackingInt(@intCast(field.number));
            const wire: Wire = switch (kind) {
                .boolean, .integer => .varint,
                .double => .fixed64,
                else => .bytes,
            };
            if (field.wire != wire) continue;
            self.* = .{ .kind = kind, .number = field.value, .content = field.content };
        }
    }

    /// As it stands in a column: a string as it is.
    fn put(self: AnyValue, column: *Texts, scratch: *Bytes) Failure!void {
        if (self.kind == .none or self.kind == .text) return column.put(self.content);
        scratch.clearRetainingCapacity();
        if (self.kind == .bytes) {
            try put_base64(scratch, self.content);
        } else if (self.kind == .array or self.kind == .pairs) {
            try self.put_json(scratch, levels_max);
        } else {
            var room: [number_bytes_max]u8 = undefined;
            try scratch.appendSlice(gpa, self.scalar(&room));
        }
        try column.put(scratch.items);
    }

    fn scalar(self: AnyValue, room: *[number_bytes_max]u8) []const u8 {
        return switch (self.kind) {
            .boolean => if (self.number == 0) "false" else "true",
            .double => double_text(@bitCast(self.number), room),
            else => std.fmt.bufPrint(room, "{d}", .{@as(i64, @bitCast(self.number))}) catch "",
        };
    }

    fn put_json(self: AnyValue, out: *Bytes, levels: usize) Failure!void {
        if (levels == 0) return error.Malformed;
        var room: [number_bytes_max]u8 = undefined;
        switch (self.kind) {
            .none => try out.appendSlice(gpa, "null"),
            .text => try put_json_text(out, self.content),
            .bytes => {
                try out.append(gpa, '"');
                try put_base64(out, self.content);
                try out.append(gpa, '"');
            },
            .boolean, .integer => try out.appendSlice(gpa, self.scalar(&room)),
            .double => {
                const value: f64 = @bitCast(self.number);
                if (std.math.isFinite(value)) {
                    try out.appendSlice(gpa, self.scalar(&room));
                } else if (std.math.isNan(value) and std.math.signbit(value)) {
                    try out.appendSlice(gpa, "\"-nan\""); // in JSON the engine writes this sign too
                } else try put_json_text(out, self.scalar(&room));
            },
            .array, .pairs => try self.put_json_list(out, levels - 1),
        }
    }

    fn put_json_list(self: AnyValue, out: *Bytes, levels: usize) Failure!void {
        const is_array = self.kind == .array;
        try out.append(gpa, if (is_array) '[' else '{');
        var reader = Reader{ .bytes = self.content };
        var is_first = true;
        while (try reader.next()) |field| {
            if (field.number != 1 or field.wire != .bytes) continue;
            if (!is_first) try out.append(gpa, ',');
            is_first = false;
            var value = AnyValue{};
            if (is_array) {
                try value.read(field.content);
            } else {
                const pair = try KeyValue.read(field.content);
                try put_json_text(out, pair.key);
                try out.append(gpa, ':');
                value = pair.value;
            }
            try value.put_json(out, levels);
        }
        try out.append(gpa, if (is_array) ']' else '}');
    }
};

const KeyValue = struct {
    key: []const u8 = "",
    value: AnyValue = .{},

    fn read(message: []const u8) Failure!KeyValue {
        var pair = KeyValue{};
        var reader = Reader{ .bytes = message };
        while (try reader.next()) |field| {
            if (field.wire != .bytes) continue;
            if (field.number == 1) pair.key = field.content;
            if (field.number == 2) try pair.value.read(field.content);
        }
        return pair;
    }
};

/// Of any uint64.
const varint_bytes_max = 10;

/// Of any int64 or double as text.
const number_bytes_max = 40;

/// The fewest digits that are this number and no other, as the engine and JavaScript lay them out.
fn double_text(value: f64, room: *[number_bytes_max]u8) []const u8 {
    if (std.math.isNan(value)) return "nan";
    if (std.math.isInf(value)) return if (value < 0) "-inf" else "inf";
    if (value == 0) return if (std.math.signbit(value)) "-0" else "0";
    var buffer: [std.fmt.float.min_buffer_size]u8 = undefined;
    // One digit, perhaps a point and more digits, 'e', the exponent of the first.
    const found = std.fmt.float.render(&buffer, @abs(value), .{ .mode = .scientific }) catch "0e0";
    const at = std.mem.indexOfScalar(u8, found, 'e') orelse found.len;
    const exponent = std.fmt.parseInt(i32, found[@min(at + 1, found.len)..], 10) catch 0;
    var digits: [20]u8 = undefined;
    var count: usize = 0;
    for (found[0..at]) |digit| {
        if (digit == '.' or count == digits.len) continue;
        digits[count] = digit;
        count += 1;
    }
    var text = std.Io.Writer.fixed(room);
    lay_out(&text, value < 0, digits[0..count], exponent) catch {};
    return text.buffered();
}

fn lay_out(text: *std.Io.Writer, is_negative: bool, digits: []const u8, exponent: i32) !void {
    if (is_negative) try text.writeByte('-');
    if (exponent < -6 or exponent > 20) {
        try text.writeAll(digits[0..1]);
        if (digits.len > 1) try text.print(".{s}", .{digits[1..]});
        try text.print("e{d}", .{exponent});
    } else if (exponent < 0) {
        try text.writeAll("0.000000"[0..@intCast(1 - exponent)]);
        try text.writeAll(digits);
    } else {
        const whole: usize = @intCast(exponent + 1);
        try text.writeAll(digits[0..@min(whole, digits.len)]);
        if (whole < digits.len) {
            try text.print(".{s}", .{digits[whole..]});
        } else try text.splatByteAll('0', whole - digits.len);
    }
}

fn put_base64(out: *Bytes, bytes: []const u8) Failure!void {
    const encoder = std.base64.standard.Encoder;
    _ = encoder.encode(try out.addManyAsSlice(gpa, encoder.calcSize(bytes.len)), bytes);
}

/// As the engine's toJSONString.
fn put_json_text(out: *Bytes, text: []const u8) Failure!void {
    try out.append(gpa, '"');
    for (text, 0..) |byte, place| {
        switch (byte) {
            '"', '\\' => try out.appendSlice(gpa, &.{ '\\', byte }),
            8 => try out.appendSlice(gpa, "\\b"),
            '\t' => try out.appendSlice(gpa, "\\t"),
            '\n' => try out.appendSlice(gpa, "\\n"),
            12 => try out.appendSlice(gpa, "\\f"),
            '\r' => try out.appendSlice(gpa, "\\r"),
            0...7, 11, 14...31 => try out.appendSlice(gpa, &.{
                '\\', 'u', '0', '0', '0' + (byte >> 4), "0123456789ABCDEF"[byte & 15],
            }),
            else => try out.append(gpa, byte),
        }
        // The two line separators of Unicode, which end a line in JavaScript.
        if (byte & 0xFE == 0xA8 and place > 1 and text[place - 2] == 0xE2 and
            text[place - 1] == 0x80)
        {
            out.shrinkRetainingCapacity(out.items.len - 3);
            try out.appendSlice(gpa, if (byte == 0xA8) "\\u2028" else "\\u2029");
        }
    }
    try out.append(gpa, '"');
}

fn put_varint(out: *Bytes, number: u64) Failure!void {
    var left = number;
    while (left >= 0x80) : (left >>= 7) try out.append(gpa, @as(u8, @truncate(left)) | 0x80);
    try out.append(gpa, @truncate(left));
}

fn put_text(out: *Bytes, text: []const u8) Failure!void {
    try put_varint(out, text.len);
    try out.appendSlice(gpa, text);
}

fn put_number(out: *Bytes, number: u64) Failure!void {
    try out.appendSlice(gpa, std.mem.asBytes(&std.mem.nativeToLittle(u64, number)));
}

/// What columns of one conversion share.
const Shared = struct {
    /// Of the hashes of names, so that nobody can choose names that collide.
    seed: u64,
    scratch: Bytes = .empty,
};

/// Call a method of each plain column that a column is made of, in the order of the format.
fn each(column: anytype, comptime method: []const u8, arguments: anytype) Failure!void {
    const Column = @TypeOf(column.*);
    if (@hasDecl(Column, "write")) {
        if (@hasDecl(Column, method)) {
            try @call(.auto, @field(Column, method), .{column} ++ arguments);
        }
    } else inline for (comptime std.meta.fieldNames(Column)) |part| {
        try each(&@field(column, part), method, arguments);
    }
}

/// A string or bytes.
const Texts = struct {
    const name = "String";

    bytes: Bytes = .empty,
    pending: []const u8 = "",

    fn add(self: *Texts, _: *Shared, field: Field) Failure!void {
        if (field.wire == .bytes) self.pending = field.content;
    }

    fn end(self: *Texts, _: *Shared) Failure!void {
        try self.put(self.pending);
        self.pending = "";
    }

    fn put(self: *Texts, text: []const u8) Failure!void {
        @memcpy(try self.room(text.len), text);
    }

    /// For a text of so many bytes.
    fn room(self: *Texts, size: usize) Failure![]u8 {
        try self.bytes.ensureUnusedCapacity(gpa, size + varint_bytes_max);
        try put_varint(&self.bytes, size);
        return self.bytes.addManyAsSliceAssumeCapacity(size);
    }

    pub fn write(self: *Texts, out: *Bytes) Failure!void {
        try out.appendSlice(gpa, self.bytes.items);
    }

    pub fn measure(self: *Texts, size: *usize) Failure!void {
        size.* += self.bytes.items.len;
    }

    pub fn clear(self: *Texts) Failure!void {
        self.bytes.clearRetainingCapacity();
    }

    pub fn free(self: *Texts) Failure!void {
        self.bytes.deinit(gpa);
    }
};

/// Bytes as lower-case hex text.
const Hex = struct {
    const name = "String";

    texts: Texts = .{},

    fn add(self: *Hex, shared: *Shared, field: Field) Failure!void {
        try self.texts.add(shared, field);
    }

    fn end(self: *Hex, _: *Shared) Failure!void {
        const digits = "0123456789abcdef";
        const bytes = self.texts.pending;
        const room = try self.texts.room(2 * bytes.len);
        for (bytes, 0..) |byte, place| {
            room[2 * place] = digits[byte >> 4];
            room[2 * place + 1] = digits[byte & 15];
        }
        self.texts.pending = "";
    }
};

/// An integer of the given type, or `Nanoseconds`.
fn Numbers(comptime T: type) type {
    return struct {
        const Self = @This();
        const Stored = if (T == Nanoseconds) i64 else T;
        const name = switch (T) {
            Nanoseconds => "DateTime64(9, 'UTC')",
            i32 => "Int32",
            u32 => "UInt32",
            u64 => "UInt64",
            else => unreachable,
        };

        items: std.ArrayList(Stored) = .empty,
        pending: u64 = 0,

        fn add(self: *Self, _: *Shared, field: Field) Failure!void {
            if (field.wire != .bytes) self.pending = field.value;
        }

        fn end(self: *Self, _: *Shared) Failure!void {
            // Times reach to 2262; what lies behind, and garbage, is moved to that end.
            try self.items.append(gpa, if (T == Nanoseconds)
                @intCast(@min(self.pending, std.math.maxInt(i64)))
            else if (@typeInfo(T).int.signedness == .signed)
                @truncate(@as(i64, @bitCast(self.pending)))
            else
                @truncate(self.pending));
            self.pending = 0;
        }

        pub fn write(self: *Self, out: *Bytes) Failure!void {
            try out.appendSlice(gpa, std.mem.sliceAsBytes(self.items.items));
        }

        pub fn measure(self: *Self, size: *usize) Failure!void {
            size.* += self.items.items.len * @sizeOf(Stored);
        }

        pub fn clear(self: *Self) Failure!void {
            self.items.clearRetainingCapacity();
        }

        pub fn free(self: *Self) Failure!void {
            self.items.deinit(gpa);
        }
    };
}

const Nanoseconds = struct {};

/// How long lists are: where each ends, among the items of all.
const Ends = struct {
    items: std.ArrayList(u64) = .empty,
    /// Items so far.
    count: u64 = 0,

    fn end(self: *Ends) Failure!void {
        try self.items.append(gpa, self.count);
    }

    pub fn write(self: *Ends, out: *Bytes) Failure!void {
        try out.appendSlice(gpa, std.mem.sliceAsBytes(self.items.items));
    }

    pub fn measure(self: *Ends, size: *usize) Failure!void {
        size.* += self.items.items.len * @sizeOf(u64);
    }

    pub fn clear(self: *Ends) Failure!void {
        self.items.clearRetainingCapacity();
        self.count = 0;
    }

    pub fn free(self: *Ends) Failure!void {
        self.items.deinit(gpa);
    }
};

/// Texts of which there are few: each is written once, and a number for each time it comes.
const Names = struct {
    const name = "LowCardinality(String)";
    const none = std.math.maxInt(u32);

    /// `next` is which came after it the last time, `row` where it was put last.
    const Known = struct { start: usize, end: usize, hash: u64, next: u32 = none, row: usize = 0 };

    bytes: Bytes = .empty,
    known: std.ArrayList(Known) = .empty,
    /// A hash table of places in `known`, at most half full; its size is a power of two.
    table: std.ArrayList(u32) = .empty,
    items: std.ArrayList(u32) = .empty,
    last: u32 = none,
    pending: []const u8 = "",

    fn add(self: *Names, _: *Shared, field: Field) Failure!void {
        if (field.wire == .bytes) self.pending = field.content;
    }

    fn end(self: *Names, shared: *Shared) Failure!void {
        try self.items.append(gpa, try self.find(shared, self.pending));
        self.pending = "";
    }

    /// Its number. What came after the last one the last time is tried first.
    fn find(self: *Names, shared: *Shared, text: []const u8) Failure!u32 {
        var expected: u32 = none;
        if (self.last != none) {
            expected = self.known.items[self.last].next;
            if (expected != none and std.mem.eql(u8, self.text_of(expected), text)) {
                self.last = expected;
                return expected;
            }
        }
        const number = try self.look_up(text, std.hash.Wyhash.hash(shared.seed, text));
        if (self.last != none) self.known.items[self.last].next = number;
        self.last = number;
        return number;
    }

    fn look_up(self: *Names, text: []const u8, hash: u64) Failure!u32 {
        if (2 * self.known.items.len >= self.table.items.len) try self.grow();
        const mask = self.table.items.len - 1;
        var slot: usize = @intCast(hash & mask);
        while (self.table.items[slot] != none) : (slot = (slot + 1) & mask) {
            const number = self.table.items[slot];
            if (self.known.items[number].hash == hash and
                std.mem.eql(u8, self.text_of(number), text)) return number;
        }
        if (self.known.items.len >= none) return error.OutOfMemory;
        const start = self.bytes.items.len;
        try self.bytes.appendSlice(gpa, text);
        const end_of = self.bytes.items.len;
        try self.known.append(gpa, .{ .start = start, .end = end_of, .hash = hash });
        self.table.items[slot] = @intCast(self.known.items.len - 1);
        return self.table.items[slot];
    }

    fn grow(self: *Names) Failure!void {
        const slots = @max(64, 2 * self.table.items.len);
        try self.table.resize(gpa, slots);
        @memset(self.table.items, none);
        for (self.known.items, 0..) |known, number| {
            var slot: usize = @intCast(known.hash & (slots - 1));
            while (self.table.items[slot] != none) slot = (slot + 1) & (slots - 1);
            self.table.items[slot] = @intCast(number);
        }
    }

    fn text_of(self: *const Names, number: u32) []const u8 {
        const known = self.known.items[number];
        return self.bytes.items[known.start..known.end];
    }

    pub fn prefix(_: *Names, out: *Bytes) Failure!void {
        try put_number(out, 1); // the version of the keys
    }

    pub fn write(self: *Names, out: *Bytes) Failure!void {
        if (self.items.items.len == 0) return;
        const width: usize = switch (self.known.items.len) {
            0...1 << 8 => 0,
            (1 << 8) + 1...1 << 16 => 1,
            else => 2,
        };
        try put_number(out, 0x600 | width); // the keys are new, and here
        try put_number(out, self.known.items.len);
        for (0..self.known.items.len) |number| try put_text(out, self.text_of(@intCast(number)));
        try put_number(out, self.items.items.len);
        switch (width) {
            0 => for (try out.addManyAsSlice(gpa, self.items.items.len), self.items.items) |*to, of| {
                to.* = @truncate(of);
            },
            1 => for (self.items.items) |item| {
                try out.appendSlice(gpa, std.mem.asBytes(&@as(u16, @truncate(item))));
            },
            else => try out.appendSlice(gpa, std.mem.sliceAsBytes(self.items.items)),
        }
    }

    pub fn measure(self: *Names, size: *usize) Failure!void {
        size.* += self.bytes.items.len + self.items.items.len;
    }

    pub fn clear(self: *Names) Failure!void {
        @memset(self.table.items, none);
        self.bytes.clearRetainingCapacity();
        self.known.clearRetainingCapacity();
        self.items.clearRetainingCapacity();
        self.last = none;
    }

    pub fn free(self: *Names) Failure!void {
        inline for (.{ &self.bytes, &self.known, &self.table, &self.items }) |list| {
            list.deinit(gpa);
        }
    }
};

/// Attributes: their values as text. Of equal keys the first counts.
const Attributes = struct {
    const name = "Map(LowCardinality(String), String)";

    ends: Ends = .{},
    keys: Names = .{},
    values: Texts = .{},

    fn add(self: *Attributes, shared: *Shared, field: Field) Failure!void {
        _ = try self.put(shared, field);
    }

    /// The type of what was added.
    fn put(self: *Attributes, shared: *Shared, field: Field) Failure!?Kind {
        if (field.wire != .bytes) return null;
        const pair = try KeyValue.read(field.content);
        const key = try self.keys.find(shared, pair.key);
        const row = self.ends.items.items.len + 1;
        if (self.keys.known.items[key].row == row) return null;
        self.keys.known.items[key].row = row;
        try self.keys.items.append(gpa, key);
        try pair.value.put(&self.values, &shared.scratch);
        self.ends.count += 1;
        return pair.value.kind;
    }

    fn end(self: *Attributes, _: *Shared) Failure!void {
        try self.ends.end();
    }
};

/// Attributes, and beside them the types that they were sent as.
const TypedAttributes = struct {
    const name = "Tuple(map " ++ Attributes.name ++ ", types Array(" ++ Types.name ++ "))";

    map: Attributes = .{},
    ends: Ends = .{},
    types: Types = .{},

    fn add(self: *TypedAttributes, shared: *Shared, field: Field) Failure!void {
        const kind = try self.map.put(shared, field) orelse return;
        try self.types.items.append(gpa, kind);
        self.ends.count += 1;
    }

    fn end(self: *TypedAttributes, shared: *Shared) Failure!void {
        try self.map.end(shared);
        try self.ends.end();
    }
};

const Types = struct {
    const name = "Enum8('' = 0, 'string' = 1, 'bool' = 2, 'int' = 3, 'double' = 4, " ++
        "'array' = 5, 'kvlist' = 6, 'bytes' = 7)";

    items: std.ArrayList(Kind) = .empty,

    pub fn write(self: *Types, out: *Bytes) Failure!void {
        try out.appendSlice(gpa, std.mem.sliceAsBytes(self.items.items));
    }

    pub fn measure(self: *Types, size: *usize) Failure!void {
        size.* += self.items.items.len;
    }

    pub fn clear(self: *Types) Failure!void {
        self.items.clearRetainingCapacity();
    }

    pub fn free(self: *Types) Failure!void {
        self.items.deinit(gpa);
    }
};

/// A message: a column for each of the given fields (number, name, column), in their order.
fn Record(comptime fields: anytype) type {
    return struct {
        const Self = @This();
        const name = names: {
            var text: []const u8 = "Tuple(";
            for (fields, 0..) |field, place| {
                text = text ++ (if (place == 0) "" else ", ") ++ field[1] ++ " " ++ field[2].name;
            }
            break :names text ++ ")";
        };
        const Columns = columns: {
            var types: [fields.len]type = undefined;
            for (fields, &types) |field, *column| column.* = field[2];
            break :columns @Tuple(&types);
        };

        columns: Columns = columns: {
            var columns: Columns = undefined;
            for (fields, 0..) |field, place| columns[place] = field[2]{};
            break :columns columns;
        },

        /// A message within another may come in parts.
        fn add(self: *Self, shared: *Shared, field: Field) Failure!void {
            if (field.wire == .bytes) try self.read(shared, field.content);
        }

        fn read(self: *Self, shared: *Shared, message: []const u8) Failure!void {
            var reader = Reader{ .bytes = message };
            while (try reader.next()) |field| {
                inline for (fields, 0..) |wanted, place| {
                    if (field.number == wanted[0]) try self.columns[place].add(shared, field);
                }
            }
        }

        fn end(self: *Self, shared: *Shared) Failure!void {
            inline for (&self.columns) |*column| try column.end(shared);
        }
    };
}

/// A field that comes any number of times.
fn List(comptime Item: type) type {
    return struct {
        const Self = @This();
        const name = "Array(" ++ Item.name ++ ")";

        ends: Ends = .{},
        items: Item = .{},

        fn add(self: *Self, shared: *Shared, field: Field) Failure!void {
            if (field.wire != .bytes) return;
            try self.items.add(shared, field);
            try self.items.end(shared);
            self.ends.count += 1;
        }

        fn end(self: *Self, _: *Shared) Failure!void {
            try self.ends.end();
        }
    };
}

/// ResourceSpans without its scope_spans.
const Source = Record(.{
    .{ 1, "resource", Record(.{.{ 1, "attributes", Attributes }}) },
    .{ 3, "schema_url", Texts },
});

/// ScopeSpans without its spans.
const Group = Record(.{
    .{ 1, "scope", Record(.{
        .{ 1, "name", Texts },
        .{ 2, "version", Texts },
        .{ 3, "attributes", Attributes },
    }) },
    .{ 3, "schema_url", Texts },
});

const Event = Record(.{
    .{ 1, "timestamp", Numbers(Nanoseconds) },
    .{ 2, "name", Texts },
    .{ 3, "attributes", Attributes },
    .{ 4, "dropped_attributes_count", Numbers(u32) },
});

const Link = Record(.{
    .{ 1, "trace_id", Hex },
    .{ 2, "span_id", Hex },
    .{ 3, "trace_state", Texts },
    .{ 4, "attributes", Attributes },
    .{ 6, "flags", Numbers(u32) },
    .{ 5, "dropped_attributes_count", Numbers(u32) },
});

const Span = Record(.{
    .{ 1, "trace_id", Hex },
    .{ 2, "span_id", Hex },
    .{ 3, "trace_state", Texts },
    .{ 4, "parent_span_id", Hex },
    .{ 5, "name", Names },
    .{ 6, "kind", Numbers(i32) },
    .{ 7, "start_time_unix_nano", Numbers(u64) },
    .{ 8, "end_time_unix_nano", Numbers(u64) },
    .{ 9, "attributes", TypedAttributes },
    .{ 10, "dropped_attributes_count", Numbers(u32) },
    .{ 11, "events", List(Event) },
    .{ 12, "dropped_events_count", Numbers(u32) },
    .{ 13, "links", List(Link) },
    .{ 14, "dropped_links_count", Numbers(u32) },
    .{ 15, "status", Record(.{ .{ 2, "message", Texts }, .{ 3, "code", Numbers(i32) } }) },
    .{ 16, "flags", Numbers(u32) },
});

/// Requests of one signal: resources, in them scopes, in them records, each as field 2 (but
/// resources as field 1) of what they are in.
///
/// A row of a block is what a resource and a scope have in common, and a list of their records: one
/// of several, where they do not fit into one block.
fn Blocks(comptime Item: type) type {
    return struct {
        const Self = @This();
        const names = .{ "source", "group", "records" };

        shared: Shared,
        source: Source = .{},
        group: Group = .{},
        records: List(Item) = .{},
        rows: usize = 0,
        out: Bytes = .empty,
        // Where the walk is.
        request: Reader = .{ .bytes = "" },
        resource: ?Reader = null,
        scope: ?Reader = null,
        // Their fields that are not walked: read after the records, which brings those into the
        // processor's cache in the order in which they lie.
        has_heads: bool = false,
        resource_head: Bytes = .empty,
        scope_head: Bytes = .empty,

        /// Whether the request ended; if not, a block is full.
        fn walk(self: *Self) Failure!bool {
            while (true) {
                if (self.scope) |*scope| {
                    while (try self.next_within(scope)) |record| {
                        try self.records.add(&self.shared, record);
                        if (!try self.is_full()) continue;
                        try self.end_row();
                        return false;
                    }
                    try self.end_row();
                    self.scope = null;
                } else if (self.resource) |*resource| {
                    const field = try self.next_within(resource);
                    self.scope = if (field) |found| .{ .bytes = found.content } else null;
                    self.has_heads = false;
                    if (field == null) self.resource = null;
                } else {
                    const field = try self.request.next() orelse return true;
                    if (field.number != 1 or field.wire != .bytes) continue;
                    self.resource = .{ .bytes = field.content };
                }
            }
        }

        /// The next field 2.
        fn next_within(_: *Self, reader: *Reader) Failure!?Field {
            while (try reader.next()) |field| {
                if (field.number == 2 and field.wire == .bytes) return field;
            }
            return null;
        }

        fn read_head(head: *Bytes, message: []const u8) Failure!void {
            head.clearRetainingCapacity();
            var reader = Reader{ .bytes = message };
            while (true) {
                const start = reader.position;
                const field = try reader.next() orelse return;
                if (field.number == 2) continue;
                try head.appendSlice(gpa, reader.bytes[start..reader.position]);
            }
        }

        fn end_row(self: *Self) Failure!void {
            const ends = self.records.ends.items.items;
            const before = if (ends.len == 0) 0 else ends[ends.len - 1];
            if (self.records.ends.count == before) return;
            if (!self.has_heads) {
                try read_head(&self.resource_head, self.resource.?.bytes);
                try read_head(&self.scope_head, self.scope.?.bytes);
                self.has_heads = true;
            }
            try self.source.read(&self.shared, self.resource_head.items);
            try self.source.end(&self.shared);
            try self.group.read(&self.shared, self.scope_head.items);
            try self.group.end(&self.shared);
            try self.records.end(&self.shared);
            self.rows += 1;
        }

        fn is_full(self: *Self) Failure!bool {
            if (self.records.ends.count >= block_records_max) return true;
            var size: usize = 0;
            inline for (names) |name| try each(&@field(self, name), "measure", .{&size});
            return size >= block_bytes;
        }

        /// What has been read, which is then forgotten.
        pub fn write(self: *Self) Failure!void {
            const out = &self.out;
            out.clearRetainingCapacity();
            // The engine does not read a block without rows.
            if (self.rows == 0) return;
            try put_varint(out, names.len);
            try put_varint(out, self.rows);
            inline for (names) |name| {
                const column = &@field(self, name);
                try put_text(out, name);
                try put_text(out, @TypeOf(column.*).name);
                try each(column, "prefix", .{out});
                try each(column, "write", .{out});
                try each(column, "clear", .{});
            }
            self.rows = 0;
        }

        pub fn free(self: *Self) void {
            inline for (names) |name| each(&@field(self, name), "free", .{}) catch {};
            const heads = .{ &self.resource_head, &self.scope_head };
            inline for (heads ++ .{ &self.out, &self.shared.scratch }) |bytes| bytes.deinit(gpa);
            gpa.destroy(self);
        }
    };
}

const Traces = Blocks(Span);

/// An empty conversion; null where there is no memory. close_traces() must follow.
export fn open_traces(seed: u64) ?*Traces {
    const traces = gpa.create(Traces) catch return null;
    traces.* = .{ .shared = .{ .seed = seed } };
    return traces;
}

export fn close_traces(traces: *Traces) void {
    traces.free();
}

/// Take a request, which MUST stay where it is until read_request() has said that it ended.
export fn begin_request(traces: *Traces, message: [*]const u8, size: usize) void {
    traces.request = .{ .bytes = message[0..size] };
}

const ended = 0;
const full = 1;
const malformed = -1;
const no_memory = -2;

/// Read on, until the request has ended or a block is full. After a failure only
/// close_traces() may follow.
export fn read_request(traces: *Traces) c_int {
    const is_over = traces.walk() catch |failure| return code_of(failure);
    return if (is_over) ended else full;
}

/// Write a block of all that was read since the last one; returns its size, 0 where nothing was. It
/// is at `at` until the next call.
export fn write_block(traces: *Traces, at: *[*]const u8) isize {
    traces.write() catch |failure| return code_of(failure);
    at.* = traces.out.items.ptr;
    return @intCast(traces.out.items.len);
}

fn code_of(failure: Failure) c_int {
    return switch (failure) {
        error.Malformed => malformed,
        error.OutOfMemory => no_memory,
    };
}
