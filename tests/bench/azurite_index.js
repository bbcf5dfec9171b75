// Loaded into Azurite before it starts: a query of one partition looks at the rows of that partition, by the index that Azurite
// has but does not use for queries. Without it every row of the table is compared with every query, which Azure's tables do not.
const path = require("path");

const ONE_PARTITION = /^\(*\s*PartitionKey eq '((?:[^']|'')*)'/;
const LITERALS = /'(?:[^']|'')*'/g;

function partitionOf(filter) {
  const found = ONE_PARTITION.exec(filter);
  return found && !/\b(or|not)\b/.test(filter.replace(LITERALS, "")) ? found[1].replace(/''/g, "'") : undefined;
}

const entry = process.argv[1] || "";
if (entry.endsWith("azurite.js")) {
  const Store = require(path.join(path.dirname(entry), "table/persistence/LokiTableMetadataStore.js")).default;
  const scan = Store.prototype.queryTableEntities;
  Store.prototype.queryTableEntities = function (context, account, table, options, ...position) {
    const partition = partitionOf(options.filter || "");
    if (partition === undefined) return scan.call(this, context, account, table, options, ...position);
    const narrowed = Object.create(this);
    narrowed.getEntityCollection = (...which) => {
      const rows = this.getEntityCollection(...which);
      return { chain: () => rows.chain().find({ PartitionKey: partition }) };
    };
    return scan.call(narrowed, context, account, table, options, ...position);
  };
}
