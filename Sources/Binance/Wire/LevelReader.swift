import Books

/// Where the digits of the level before lay, as those of the next one most likely do: the digits of a price before
/// its point, the decimals of a price, the decimals of a quantity.
///
/// With the places known, a level is read without waiting for the end of each number to be found.
struct LevelForm {
    /// Not zero as long as no level was seen: such a form fits nothing.
    private(set) var unset: UInt64 = 1
    private(set) var priceWhole = Digits(count: 0)
    private(set) var priceDecimals = Digits(count: 0)
    private(set) var quantityDecimals = Digits(count: 0)
    /// How many points a quantity has: none where it is counted in contracts.
    private(set) var quantityPoints = 0
    /// What comes behind the digits of a quantity which it begins with: its point, or the quote that ends it.
    private(set) var quantityMark: UInt8 = 0x22

    /// A run of up to eight digits.
    struct Digits {
        var count: Int
        /// Ones in the highest bits of those of the eight bytes which must be digits.
        var mask: UInt64
        /// Moves the last digit into the highest byte.
        var shift: UInt64
        /// 10^`count`.
        var power: UInt64
        /// All ones if there are digits: a shift by eight bytes is none, and would leave a value where there is none.
        var kept: UInt64

        init(count: Int) {
            let bits = UInt64(truncatingIfNeeded: count &* 8)
            self.count = count
            shift = 64 &- bits
            mask = count > 0 ? 0x8080_8080_8080_8080 &>> shift : 0
            power = UInt64(truncatingIfNeeded: powerOfTen(count))
            kept = count > 0 ? .max : 0
        }
    }

    /// Takes the form of `level`; `wholeDigits` is how many its price has before the point.
    @inline(never)
    mutating func learn(_ level: PriceLevel, wholeDigits: Int) {
        guard 1...8 ~= wholeDigits, 1...8 ~= level.priceScale, 0...8 ~= level.quantityScale else { return }
        priceWhole = Digits(count: wholeDigits)
        priceDecimals = Digits(count: Int(level.priceScale))
        quantityDecimals = Digits(count: Int(level.quantityScale))
        quantityPoints = level.quantityScale > 0 ? 1 : 0
        quantityMark = level.quantityScale > 0 ? 0x2E : 0x22
        unset = 0
    }
}

extension JSONCursor {
    /// What ended the filling of one stretch of room.
    private enum Filling { case isFull, isRead, isBroken }

    /// The bytes that must be readable for a level to be read without looking for the end at every step: two
    /// numbers of at most 17 bytes each, seven bytes around them, and the byte behind.
    private static var shortLevelRoom: Int { 48 }

    /// Reads `[["price","quantity"],…]` behind what `levels` holds; false if it is something else.
    mutating func levels(into levels: inout [PriceLevel], form: inout LevelForm) -> Bool {
        guard unsafe take(0x5B) else { return false }
        if unsafe take(0x5D) { return true }
        // Copies of its own stay in registers.
        var local = unsafe self
        var filling = Filling.isFull
        while filling == .isFull {
            let room = max(levels.capacity - levels.count, 16)
            levels.append(addingCapacity: room) { filling = unsafe local.fill(&$0, form: &form) }
        }
        unsafe self = unsafe local
        return filling == .isRead
    }

    @inline(__always)
    private mutating func fill(_ room: inout OutputSpan<PriceLevel>, form: inout LevelForm) -> Filling {
        repeat {
            if room.isFull { return .isFull }
            if let level = unsafe formedLevel(form) {
                room.append(level)
                // The room that `formedLevel` asked for reaches beyond the level.
                if unsafe position.pointee == 0x2C {
                    unsafe position += 1
                    continue
                }
                break
            }
            guard let level = unsafe anyLevel(&form) else { return .isBroken }
            room.append(level)
            if unsafe !take(0x2C) { break }
        } while true
        return unsafe take(0x5D) ? .isRead : .isBroken
    }

    /// Reads a level that has the form of the one before; nil, with the position unchanged, for any other.
    ///
    /// All that must fit is gathered into one test, which nearly always holds. Only the digits before the point of
    /// the quantity are counted: they change from level to level.
    @inline(__always)
    private mutating func formedLevel(_ form: LevelForm) -> PriceLevel? {
        // 2 + 8 + 1 + 8 + 3 bytes to the quantity, 8 + 1 + 8 + 2 in it: 41, and one behind. The loads of eight
        // bytes begin at the latest at byte 31, that of four bytes at 39.
        guard unsafe end - position >= Self.shortLevelRoom else { return nil }
        let whole = unsafe chunk(position + 2)
        let point = unsafe position + (2 &+ form.priceWhole.count)
        let decimals = unsafe chunk(point + 1)
        let separator = unsafe point + (1 &+ form.priceDecimals.count)
        let quantityWhole = unsafe chunk(separator + 3)
        let count = (quantityWhole.marks & 0x8080_8080_8080_8080).trailingZeroBitCount &>> 3
        let quantityPoint = unsafe separator + (3 &+ count)
        let quantityDecimals = unsafe chunk(quantityPoint + 1)
        let last = unsafe quantityPoint + (form.quantityPoints &+ form.quantityDecimals.count)

        var misfit = form.unset | (whole.marks & form.priceWhole.mask)
        misfit |= decimals.marks & form.priceDecimals.mask
        misfit |= quantityDecimals.marks & form.quantityDecimals.mask
        // At least one digit before the point.
        misfit |= quantityWhole.marks & 0x80
        misfit |= unsafe UInt64((word(position) ^ 0x225B) & 0xFFFF)
        misfit |= unsafe UInt64((word(separator) ^ 0x22_2C22) & 0xFF_FFFF)
        misfit |= unsafe UInt64((word(last) ^ 0x5D22) & 0xFFFF)
        misfit |= unsafe UInt64((point.pointee ^ 0x2E) | (quantityPoint.pointee ^ form.quantityMark))
        let price =
            eightDigits(whole.digits &<< form.priceWhole.shift) &* form.priceDecimals.power
            &+ eightDigits(decimals.digits &<< form.priceDecimals.shift)
        guard misfit == 0, price != 0 else { return nil }
        let shift = 64 &- UInt64(truncatingIfNeeded: count &* 8)
        let quantity =
            eightDigits(quantityWhole.digits &<< shift) &* form.quantityDecimals.power
            &+ eightDigits(quantityDecimals.digits &<< form.quantityDecimals.shift)
            & form.quantityDecimals.kept
        unsafe position = last + 2
        // At most sixteen digits each.
        return PriceLevel(
            price: FixedDecimal(
                mantissa: Int64(truncatingIfNeeded: price),
                scale: UInt8(truncatingIfNeeded: form.priceDecimals.count)),
            quantity: FixedDecimal(
                mantissa: Int64(truncatingIfNeeded: quantity),
                scale: UInt8(truncatingIfNeeded: form.quantityDecimals.count)))
    }

    /// Reads a level of any form that is JSON; nil if it is something else.
    private mutating func anyLevel(_ form: inout LevelForm) -> PriceLevel? {
        guard unsafe take(0x5B), unsafe take(0x22) else { return nil }
        let first = unsafe position
        let price = unsafe scanDecimal(&position, end)
        let priceLength = unsafe position - first
        guard price.isValid, price.mantissa > 0, unsafe takeNow(0x22), unsafe take(0x2C), unsafe take(0x22)
        else { return nil }
        let quantity = unsafe scanDecimal(&position, end)
        guard quantity.isValid, unsafe takeNow(0x22), unsafe take(0x5D) else { return nil }
        let level = PriceLevel(price: price, quantity: quantity)
        form.learn(level, wholeDigits: priceLength - Int(price.scale) - 1)
        return level
    }

    /// The eight bytes at `place` as digit values, the first one lowest, and marks in the high bits: the first
    /// byte that is no digit has one, and those before it have none.
    @inline(__always)
    private func chunk(_ place: UnsafePointer<UInt8>) -> (digits: UInt64, marks: UInt64) {
        let bytes = unsafe UInt64(littleEndian: UnsafeRawPointer(place).loadUnaligned(as: UInt64.self))
        let digits = bytes ^ 0x3030_3030_3030_3030
        // A byte above nine carries into its high bit; carries reach later bytes only, so the first mark is true.
        return (digits, (digits &+ 0x7676_7676_7676_7676) | digits)
    }

    /// The four bytes at `place`, the first one lowest.
    @inline(__always) private func word(_ place: UnsafePointer<UInt8>) -> UInt32 {
        unsafe UInt32(littleEndian: UnsafeRawPointer(place).loadUnaligned(as: UInt32.self))
    }
}
