export default function Page() {
  return <p>A database that is replicated</p>;
}
