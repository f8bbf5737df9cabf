import { useData } from 'vitepress';
import { defineComponent, h, onMounted, ref, useId, watch } from 'vue';

/** A diagram scrolls instead of shrinking below this part of its size: smaller text is hard to read. */
const SCALE_MIN = 0.75;

/** The same flowchart in the other direction, if it is one. */
function turned(text: string): string | undefined {
  const [start, direction] = /^flowchart (LR|TB|TD)/.exec(text) ?? [];
  return start === undefined ? undefined : `flowchart ${direction === 'LR' ? 'TB' : 'LR'}${text.slice(start.length)}`;
}

function widthOf(svg: string): number {
  return Number(/viewBox="\S+ \S+ (\S+) /.exec(svg)?.[1] ?? 0);
}

/** A Mermaid diagram, drawn in the browser in the colours of the page. Until then, and without scripts, the page shows its text. */
export const Diagram = defineComponent({
  props: { source: { type: String, required: true } },
  setup(props) {
    const { isDark } = useData();
    const text = decodeURIComponent(props.source);
    const svg = ref<string>();
    const widthMin = ref('0');
    const element = ref<HTMLElement>();
    const id = `diagram-${useId()}`;
    const draw = async (): Promise<void> => {
      const { default: mermaid } = await import('mermaid');
      mermaid.initialize({
        startOnLoad: false,
        securityLevel: 'strict',
        theme: isDark.value ? 'dark' : 'neutral',
        fontFamily: 'inherit',
      });
      let drawn = (await mermaid.render(id, text)).svg;
      const other = turned(text);
      if (other !== undefined && widthOf(drawn) * SCALE_MIN > (element.value?.clientWidth ?? Infinity)) {
        const narrow = (await mermaid.render(id, other)).svg;
        if (widthOf(narrow) < widthOf(drawn)) drawn = narrow;
      }
      widthMin.value = `${widthOf(drawn) * SCALE_MIN}px`;
      svg.value = drawn;
    };
    onMounted(draw);
    watch(isDark, draw);
    return () =>
      svg.value === undefined
        ? h('pre', { ref: element, class: 'diagram' }, text)
        : h('div', { ref: element, class: 'diagram', style: { '--width-min': widthMin.value }, innerHTML: svg.value });
  },
});
