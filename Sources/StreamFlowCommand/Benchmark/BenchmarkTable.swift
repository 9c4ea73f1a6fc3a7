/// A Markdown table with aligned columns, so that it is readable as plain text too.
struct BenchmarkTable {
  let header: [String]
  let rows: [[String]]

  /// The table, followed by an empty line.
  ///
  /// Short rows are filled with empty cells.
  var text: String {
    let all = ([header] + rows).map { row in
      row + Array(repeating: "", count: max(header.count - row.count, 0))
    }
    // A failure has a long reason in one cell, which does not count for the width of the column.
    let sound = all.filter { row in !row.contains { $0.hasPrefix("failed:") } }
    let widths = header.indices.map { column in
      max(sound.map { $0[column].count }.max() ?? 0, 1)
    }
    func line(_ cells: [String]) -> String {
      let padded = zip(cells, widths).map { cell, width in
        cell + String(repeating: " ", count: max(width - cell.count, 0))
      }
      return "| " + padded.joined(separator: " | ") + " |\n"
    }
    let rule = "|" + widths.map { String(repeating: "-", count: $0 + 2) }.joined(separator: "|")
    return line(all[0]) + rule + "|\n" + all.dropFirst().map(line).joined() + "\n"
  }
}
