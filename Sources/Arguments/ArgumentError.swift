/// Mistakes in what a program was told, in words for the person who told it; each names where it stands and what was expected.
package struct ArgumentError: Error, Equatable, CustomStringConvertible {
    package var mistakes: [String]

    package init(_ mistake: String) { mistakes = [mistake] }

    package init(mistakes: [String]) { self.mistakes = mistakes }

    package var description: String {
        guard mistakes.count > 1 else { return mistakes.first ?? "" }
        return "\(mistakes.count) mistakes:" + mistakes.map { "\n  \($0)" }.joined()
    }
}
